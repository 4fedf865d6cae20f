"""The command line as a whole: parse, answer, and turn every ending into text and one exit code."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

import click

from chargehand import __version__
from chargehand.cli import screen
from chargehand.cli.command import StdoutClosedError, find
from chargehand.cli.surface import COMMANDS
from chargehand.errors import ChargehandError, InvalidError

INTERRUPTED = 130
TERMINATED = 143

_SWITCH_S: Final = 0.05
"""A thread that computes gives way after so long; the one that serves hosts does at every packet anyway."""

_HELP = """Run Foreman-style job invocations, kept as YAML files in git, over SSH.

\b
  chargehand init                            make a small project here
  chargehand run playbooks/hello.yml --lab 5   try a job on 5 embedded SSH hosts
  chargehand validate                        check every job, offline
  chargehand plan playbooks/hello.yml        what would run where, in which order
  chargehand run playbooks/hello.yml         run it
"""
_EPILOG = """\b
Exit codes:
  0 ok  1 internal error  2 usage  3 invalid file, inventory or template
  4 no host matched  5 hosts failed or not started  6 hosts, or the tracked repository, unreachable
  7 both of 5 and 6
  8 stopped by stop_after  9 timed out  10 changes (--detailed-exitcode)
  11 skipped, the run before went on
  12 more hosts than max_targets, or a commit that the policy refuses
  13 some outcome unknown  14 could not record
  130 interrupted  141 stdout was closed  143 terminated
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    sys.setswitchinterval(_SWITCH_S)
    signal.signal(signal.SIGTERM, _terminate)
    screen.open_missing()
    code = status(sys.argv[1:] if arguments is None else arguments)
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:  # nobody reads it, or there is no room for it
        sys.exit(code)
    os._exit(code)  # the system takes everything back at once; Python would take it apart piece by piece


def status(arguments: Sequence[str]) -> int:
    """The exit code of one command line; what it has to say is said by then."""
    told: dict[str, bool] = {}
    try:
        code = application().main(list(arguments), prog_name="chargehand", standalone_mode=False, obj=told)
        sys.stdout.flush()
    except (StdoutClosedError, BrokenPipeError):
        screen.forget_stdout()
        return screen.STDOUT_CLOSED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ChargehandError as error:
        _tell(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the one place where a defect becomes text and exit code 1
        if isinstance(error, OSError) and traceback.extract_tb(error.__traceback__)[-1].name == "echo":
            screen.forget_stdout()  # it was click that could not write, and nothing of ours
            screen.note(f"chargehand: stdout cannot be written: {error.strerror}")
        else:
            _tell_defect(error, whole=told.get("traceback", False))
        return 1
    return code if isinstance(code, int) else 0


def application() -> click.Group:
    """The group of all commands."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_version,
        help="Show the version and exit.",
    )
    return _Group(
        "chargehand",
        params=[version],
        help=_HELP,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


class _Group(click.Group):
    """Lists its commands in the order of a day's work, not of the alphabet; loads them when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:  # click looks for one that is alike
            self.commands[name] = find(f"surface.{COMMANDS[name]}")
        return self.commands.get(cmd_name)


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        screen.say(f"chargehand {__version__}")
        ctx.exit()


def _tell(error: ChargehandError) -> None:
    if not isinstance(error, InvalidError):
        screen.note(f"chargehand: {error}")
        return
    for problem in error.problems:
        screen.note_problem(problem)
    screen.note(screen.tally(error.problems))


def _tell_defect(error: Exception, *, whole: bool) -> None:
    """A defect in one line, without its message, which may quote a value; the whole only when asked for."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if whole:
        screen.note("".join(traceback.format_exception(error)))
    where = f"{frame.name} ({frame.filename}:{frame.lineno})"
    screen.note(
        f"chargehand: internal error: {type(error).__name__} in {where}\n"
        "  = this is a defect of chargehand: please report it"
        + ("" if whole else ", with what the same command says with --traceback")
    )


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like an interrupt, so that every session and lab is closed on the way out."""
    sys.exit(TERMINATED)
