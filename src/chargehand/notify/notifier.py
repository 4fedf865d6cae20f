"""Notifier: the messages about one run, sent to whoever wished for them.

Nothing here changes what a run came to: what cannot be sent is told in a line and that is all.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from chargehand.errors import ChargehandError
from chargehand.notify.message import Message, compose_message, compose_not_run, occasions
from chargehand.notify.wish import Wish
from chargehand.reference import SecretReference
from chargehand.report.invocation import InvocationRecord
from chargehand.secret import Secret

TIMEOUT_S: Final = 10.0

LookUp = Callable[[SecretReference], Secret]


class _Sending(Protocol):
    def send_by_apprise(self, url: Secret, message: Message, *, timeout_s: float) -> str: ...


def send(
    record: InvocationRecord, previous: str | None, wishes: Sequence[Wish], *, look_up: LookUp
) -> tuple[str, ...]:
    """Tell everybody who wished for it that an invocation is over.

    Args:
        record: Of the invocation: it ended, or it did not take place.
        previous: Status label of the last run of the same job before it; None when there was none.
        wishes: Of the job.
        look_up: Gives the URL that a reference leads to.

    Returns:
        A line for each message that could not be sent.
    """
    found = occasions(record, previous)
    return _send_each(
        [wish for wish in wishes if wish.when & found],
        lambda wish: compose_message(record, previous, output=wish.output),
        look_up,
    )


def send_message(message: Message, wishes: Sequence[Wish], *, look_up: LookUp) -> tuple[str, ...]:
    """Tell everybody who is meant; a line for each message that could not be sent."""
    return _send_each(wishes, lambda _: message, look_up)


def send_not_run(
    records: Sequence[InvocationRecord], wishes: Sequence[Wish], *, look_up: LookUp
) -> tuple[str, ...]:
    """Tell, in one message, of invocations of one job that were due and did not take place; as `send`."""
    wanted = [wish for wish in wishes if wish.when & {"missed", "always"}] if records else []
    return _send_each(wanted, lambda _: compose_not_run(records), look_up)


def _send_each(
    wishes: Sequence[Wish], compose: Callable[[Wish], Message], look_up: LookUp
) -> tuple[str, ...]:
    troubles = ((wish, _send(wish, compose(wish), look_up)) for wish in wishes)
    return tuple(
        f"the message for {wish.name} was not sent: {trouble}" for wish, trouble in troubles if trouble
    )


def _send(wish: Wish, message: Message, look_up: LookUp) -> str:
    """What kept a message from being sent; empty when it was."""
    try:
        sending = cast("_Sending", import_module("chargehand.notify.sending"))
        url = look_up(wish.to)
    except ModuleNotFoundError as error:
        return f"the package `{error.name}` is not installed (pip install 'chargehand[notify]')"
    except ChargehandError as error:
        return str(error).splitlines()[0]
    return sending.send_by_apprise(url, message, timeout_s=TIMEOUT_S)
