"""Service: how a machine starts Chargehand by itself - a systemd unit or a crontab line, as text."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from chargehand.errors import UsageError
from chargehand.expression import expression

GRACE_S = 30
_LETTING_GO_S = 75
"""After the grace: hosts confirm that they stopped for at most a minute, and what came out is written."""

_UNIT = """\
# /etc/systemd/system/chargehand.service
# Then: systemctl daemon-reload && systemctl enable --now chargehand

[Unit]
Description=Chargehand: starts the jobs of {title} when they are due
Wants=network-online.target
After=network-online.target time-sync.target postgresql.service

[Service]
Type=notify
User={user}
WorkingDirectory={folder}
ExecStart={program} serve --grace {grace_s}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
# Only the main program is told to stop; it lets running hosts finish, then stops them.
KillMode=mixed
TimeoutStopSec={stop_s}
SuccessExitStatus=130 143
UMask=0077

# What follows shields this machine. Jobs on hosts reached over ssh notice nothing of it; jobs on this
# machine itself (provider `local`) would: remove it for them.
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
_PLAIN_WORD = expression(r"[\w/.,:=@+-]+", re.ASCII)


def systemd_unit(folder: Path, program: Sequence[str], user: str) -> str:
    """A unit that keeps ``chargehand serve`` running.

    Args:
        folder: The project, absolute.
        program: The words that call Chargehand, the first absolute.
        user: Who it runs as.

    Raises:
        UsageError: The name of the folder or of the program cannot be written in a unit.
    """
    path = _one_line(folder)
    if set(program[0]) & set("\"'\\$"):
        raise UsageError(f"{program[0]}: systemd starts no program with such a name; install it elsewhere")
    return _UNIT.format(
        title=path.replace("%", "%%"),
        user=user,
        folder=path.replace("%", "%%"),
        program=" ".join(_unit_word(word) for word in program),
        writable=_unit_word(path),
        grace_s=GRACE_S,
        stop_s=GRACE_S + _LETTING_GO_S,
    )


def crontab_line(folder: Path, program: Sequence[str]) -> str:
    """A line of a user's crontab that calls ``chargehand tick`` every minute.

    Args:
        folder: The project, absolute.
        program: The words that call Chargehand, the first absolute.

    Raises:
        UsageError: The folder's name cannot be written in a crontab.
    """
    command = f"cd {shlex.quote(_one_line(folder))} && {shlex.join(program)} tick"
    return "* * * * * " + command.replace("%", r"\%") + "\n"  # cron ends a line at a bare `%`


def _one_line(folder: Path) -> str:
    if not str(folder).isprintable():
        raise UsageError(f"{str(folder)!r}: rename the folder; its name has characters that end a line")
    return str(folder)


def _unit_word(word: str) -> str:
    word = word.replace("%", "%%")
    if _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
