"""Limits: how much strangers can make a receiver wait for, and keep, before anything is known of them."""

from chargehand.frozen import frozen


@frozen
class Limits:
    """What no request gets more of.

    Attributes:
        body_s: Seconds in which a body has come, and is refused otherwise.
        connection_s: Seconds after which a connection is cut, whatever it is at.
        connections: At once; when one more comes, the oldest is cut, since honest ones take no time.
        held_bytes: Of all bodies that are being read, unless one body may be longer.
        header_bytes: Of all headers of a request.
    """

    body_s: float = 10.0
    connection_s: float = 15.0
    connections: int = 256
    held_bytes: int = 16 * 1024 * 1024
    header_bytes: int = 16 * 1024
