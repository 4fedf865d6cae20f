"""Kinds: the transports there are, and which of them this paramiko bears."""

from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

import paramiko

from chargehand.ssh.stock import StockTransport

if TYPE_CHECKING:
    from chargehand.ssh.transport import SshTransport

    Transport: TypeAlias = SshTransport | StockTransport
else:
    Transport = paramiko.Transport  # which both of them are

_TRIED: Final = ("4", "5")
"""Major versions of paramiko that ours was tried with; it leans on what others may do in another way."""

UNTRIED: Final = (
    f"paramiko {paramiko.__version__} was not tried with this Chargehand: it is used as it is, slower"
)

FITS: Final = paramiko.__version__.split(".")[0] in _TRIED

USUAL: Final[type[Transport]] = (
    import_module("chargehand.ssh.transport").SshTransport if FITS else StockTransport
)
