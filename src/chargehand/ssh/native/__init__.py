"""The way to a host over SSH that libssh speaks: `NativeSshProvider`, for less work at our end.

It needs ssh-python, which is installed with ``chargehand[native]``; nothing else imports `ssh`. What is to be
decided the modules of `chargehand.ssh` decide; here are `line` (the wait for a socket), `greeting` (what
comes before SSH), `watchdog`, `peer` (libssh's session), `porter` (the login), `link`, `channel`, `provider`.
"""

from chargehand.errors import UsageError

try:
    from chargehand.ssh.native.provider import NativeSshProvider
except ModuleNotFoundError as missing:
    if missing.name != "ssh":
        raise
    remedy = "the provider `ssh-native` needs ssh-python: pip install 'chargehand[native]'"
    raise UsageError(remedy) from None

__all__ = ["NativeSshProvider"]
