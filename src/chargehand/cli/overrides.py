"""What options and the terminal say in place of a job file."""

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path

from chargehand.compose import Overrides
from chargehand.document import load
from chargehand.errors import InvocationError, Problem, UsageError
from chargehand.plan import Access
from chargehand.secret import Secret


def read_inputs(words: Sequence[str]) -> Mapping[str, str]:
    """Input values out of ``-e INPUT=VALUE`` and ``-e @FILE``; later ones win.

    A value of a file is taken as it is written: ``0755`` stays ``0755``.

    Raises:
        UsageError: A word is neither.
        InvalidError: A file is no mapping of inputs.
    """
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("@"):
            values |= _read_file(Path(word[1:]))
        elif equals and name:
            values[name] = value
        else:
            raise UsageError(f"-e takes INPUT=VALUE or @FILE, not `{word}`")
    return values


def _read_file(path: Path) -> Mapping[str, str]:
    document = load(path)
    if not isinstance(document.data, dict):
        raise InvocationError(Problem("a mapping of inputs to values was expected", document.place(())))
    wrong = [
        Problem(f"input `{name}` needs a plain value", document.place((name,)))
        for name, value in document.data.items()
        if not isinstance(value, str | int | float)
    ]
    if wrong:
        raise InvocationError(wrong)
    return {name: document.written((name,)) for name in document.data}


def ask_access(*, ssh: bool, become: bool, private_key: Path | None, effective_user: str | None) -> Access:
    """How hosts are reached, as options and a person at the terminal say.

    Raises:
        UsageError: A password is to be asked for and there is no terminal.
    """
    return Access(
        password=Secret(ask("SSH password: ")) if ssh else None,
        effective_user_password=Secret(ask("Effective user's password: ")) if become else None,
        private_key_file=str(private_key.absolute()) if private_key else None,
        effective_user=effective_user,
    )


def override(
    words: Sequence[str], *, user: str | None = None, forks: int | None = None, now: bool = False
) -> Overrides:
    """What options change about a job."""
    return Overrides(inputs=read_inputs(words), ssh_user=user, concurrency_level=forks, start_now=now)


def ask(question: str) -> str:
    """What the person at the terminal answers, unseen.

    Raises:
        UsageError: There is no terminal; nothing is ever read from a pipe.
    """
    try:
        with Path("/dev/tty").open("rb"):
            pass
    except OSError:
        raise UsageError(f"no terminal to ask at: {question.rstrip(': ')}; use a secret reference") from None
    return getpass.getpass(question)
