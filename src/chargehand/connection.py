"""ConnectionSettings: how one host is reached and how its effective user is taken on.

Values only; `inventory.connection` reads them from host variables, providers obey them.
"""

from typing import Literal

from chargehand.frozen import frozen
from chargehand.secret import Secret

HostKeyPolicy = Literal["strict", "accept-new", "off"]
BecomeMethod = Literal["sudo", "su", "dzdo", "doas", "run0"]


@frozen
class JumpHost:
    """One hop of a ProxyJump chain.

    Attributes:
        address: Name or IP address.
        port: None means what ssh_config says, else 22.
        user: None means what ssh_config says, else the login name of this process.
    """

    address: str
    port: int | None = None
    user: str | None = None


def title(address: str, port: int | None) -> str:
    """An address for people, with its port where that is not SSH's own."""
    shown = f"[{address}]" if ":" in address else address
    return shown if port in (None, 22) else f"{shown}:{port}"


@frozen
class Become:
    """How the effective user is taken on.

    Attributes:
        user: The user the script runs as; never the ssh user (then there is no `Become`).
        method: The program that switches.
        password: Asked for by the program; sent once, only to its own prompt, before the script starts.
        executable: The program's path when it is not found by its name.
        flags: Extra arguments for it, already split.
    """

    user: str
    method: BecomeMethod = "sudo"
    password: Secret | None = None
    executable: str | None = None
    flags: tuple[str, ...] = ()


@frozen
class ConnectionSettings:
    """How one host is reached.

    None always means: what ssh_config says, else OpenSSH's default.

    Attributes:
        provider: Name of the provider that reaches the host: ``ssh``, ``local``, ...
        address: What to dial; by default the host's name.
        port: TCP port.
        user: Login name (ssh user).
        password: For password and keyboard-interactive authentication.
        private_key_file: Path, ``~`` already expanded.
        private_key: The key itself, as text.
        key_passphrase: For either of them.
        agent: Whether a running ssh-agent may be asked.
        host_key_policy: ``strict`` refuses an unknown key, ``accept-new`` records it; both refuse a
            changed one. ``off`` accepts anything.
        known_hosts_files: Read in this order; the first is written to by ``accept-new``.
        proxy_jump: Hops, the nearest to us first; None means what ssh_config says, ``()`` none.
        proxy_command: Refused from files unless the setting allows it; None means ssh_config's.
        ssh_config_file: None means the user's own and the system's; ``/dev/null`` none.
        connect_timeout_s: For the TCP connection.
        banner_timeout_s: For the server's version line and the key exchange.
        auth_timeout_s: For authentication.
        channel_timeout_s: For opening a channel.
        start_timeout_s: From the request until the script starts.
        keepalive_s: Seconds between our keepalives; three unanswered mean the connection is lost.
        work_folders: Folders to try first for the script's private folder on the host.
    """

    provider: str = "ssh"
    address: str
    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    private_key_file: str | None = None
    private_key: Secret | None = None
    key_passphrase: Secret | None = None
    agent: bool = True
    host_key_policy: HostKeyPolicy = "strict"
    known_hosts_files: tuple[str, ...] = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
    proxy_jump: tuple[JumpHost, ...] | None = None
    proxy_command: str | None = None
    ssh_config_file: str | None = None
    connect_timeout_s: float = 10.0
    banner_timeout_s: float = 15.0
    auth_timeout_s: float = 30.0
    channel_timeout_s: float = 15.0
    start_timeout_s: float = 30.0
    keepalive_s: float = 15.0
    work_folders: tuple[str, ...] = ()
