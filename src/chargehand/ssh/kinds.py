"""Kinds: which transport is the usual one, by the paramiko that is installed."""

from importlib import import_module
from typing import Final

import paramiko

from chargehand.ssh.base import Transport
from chargehand.ssh.stock import StockTransport

_TRIED: Final = ("4", "5")
"""Major versions of paramiko that ours was tried with; it leans on what others may do in another way."""

UNTRIED: Final = (
    f"paramiko {paramiko.__version__} was not tried with this Chargehand: it is used as it is, slower"
)

FITS: Final = paramiko.__version__.split(".")[0] in _TRIED

USUAL: Final[type[Transport]] = (
    import_module("chargehand.ssh.transport").SshTransport if FITS else StockTransport
)
