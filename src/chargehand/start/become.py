"""How the effective user is taken on: the one request line, the program's prompt, and what its failures mean.

The request line is read by whatever login shell the account has - sh, bash, dash, fish, csh, tcsh, zsh - so
it is one line of plain words and single-quoted words without ``!``, and everything clever happens in the
``/bin/sh`` it starts. Marks are put together on the host from two halves: a shell that echoes the request
(``set -x``, a forced command that logs it) never shows one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from chargehand.connection import Become, BecomeMethod
from chargehand.frozen import frozen

_BOOT: Final = 'echo "$1$2 READY" >&2; IFS= read -r line && case $line in ": $1;"*) eval "$line" ;; esac'
"""Says that the effective user's shell is there, then evaluates the wrapper's line, and no other."""

_RAW: Final = "stty raw -echo || exit; "
"""A terminal must hand the script over as it is: no line editing, no limit of a line's length."""

_SWITCH: Final = 'locale=${LC_ALL-} LC_ALL=C; export LC_ALL; echo "$2$3 BECOME" >&2; '
"""Says that a password prompt may come now; LC_ALL makes failures readable, the wrapper puts it back."""


@frozen
class Marks:
    """The random words of one start, apart from the wrapper's own.

    Attributes:
        left: One half of what begins a record before the script is there.
        right: The other half.
        prompt: Part of the password prompt of programs that let us choose it.
    """

    left: str
    right: str
    prompt: str

    @property
    def whole(self) -> str:
        """What begins a record."""
        return self.left + self.right


def compose_request(become: Become | None, marks: Marks, *, pty: bool) -> str:
    """The request line that starts the wrapper's shell as the effective user."""
    boot = (_RAW if pty else "") + _BOOT
    if become is None:
        return f"exec /bin/sh -c '{boot}' chargehand {marks.left} {marks.right}"
    switch = (
        ("stty -echo -onlcr || exit; " if pty else "") + _SWITCH + _COMMANDS[become.method](become, marks)
    )
    return f"exec /bin/sh -c '{switch}' chargehand '{boot}' {marks.left} {marks.right}"


def needs_terminal(become: Become | None) -> bool:
    """Whether the program reads a password from a terminal and nowhere else."""
    return become is not None and become.password is not None and become.method in ("doas", "run0")


def asks_nothing(become: Become | None) -> bool:
    """Whether no program can ask for a password, so that the script may be sent at once."""
    return become is None or (become.password is None and become.method in ("sudo", "dzdo", "doas"))


def find_prompt(method: BecomeMethod, said: str, marks: Marks) -> bool:
    """Whether the program asks for the password at the end of what it `said`.

    sudo-rs shows our prompt inside its own (``[sudo: NONCE] Password:``), so the nonce alone decides.
    """
    if method in ("sudo", "dzdo"):
        return marks.prompt in said
    return re.search(_PROMPTS[method], said) is not None


def read_failure(said: str) -> str:
    """The code of why the program did not switch; ``no-start`` when its text is not known."""
    for code, pattern in _FAILURES:
        if re.search(pattern, said, re.IGNORECASE | re.MULTILINE):
            return code
    return "no-start"


def _sudo(become: Become, marks: Marks) -> str:
    asking = ["-S", "-p", f"[{marks.prompt}]:"] if become.password is not None else ["-n"]
    return _exec(become, [*become.flags, *asking, "-u", become.user, "-H", "--"], _SHELL)


def _doas(become: Become, _marks: Marks) -> str:
    quiet = ["-n"] if become.password is None else []
    return _exec(become, [*become.flags, *quiet, "-u", become.user], _SHELL)


def _run0(become: Become, _marks: Marks) -> str:
    return _exec(become, [*become.flags, f"--user={become.user}", "--"], _SHELL)


def _su(become: Become, _marks: Marks) -> str:
    """The command is text for the login shell of the effective user, so it is quoted once more."""
    inner = '"exec /bin/sh -c $quote$1$quote chargehand $2 $3 $quote$locale$quote"'
    return r'quote=$(printf "\047"); ' + _exec(become, [*become.flags, become.user], f"-c {inner}")


_SHELL: Final = '/bin/sh -c "$1" chargehand "$2" "$3" "$locale"'

_COMMANDS: Final[Mapping[BecomeMethod, Callable[[Become, Marks], str]]] = {
    "sudo": _sudo,
    "dzdo": _sudo,
    "su": _su,
    "doas": _doas,
    "run0": _run0,
}

_PROMPTS: Final[Mapping[BecomeMethod, str]] = {
    "su": r"(?m)^Password: ?\Z",
    "doas": r"(?m)^doas \([^\n]*\) password: ?\Z",
    "run0": r"(?m)^Password: ?\Z",
}

_FAILURES: Final = (
    ("become-tty", r"must have a tty|must be run from a terminal|a tty is required"),
    ("become-missing", r"^chargehand: .*(not found|no such file|permission denied)|command not found"),
    ("become-user", r"unknown user|user '?[^\n ]+'? (does not exist|not found)|no passwd entry for"),
    ("become-denied", r"not in the sudoers file|is not allowed to|may not run|i'm afraid i can't do that"),
    ("become-denied", r"operation not permitted|permission denied"),
    ("become-denied", r"account validation failure|account management error"),
    ("become-password-required", r"(a password|(interactive )?authentication|authorization) (is )?required"),
    ("become-password-required", r"a terminal is required|no password was provided"),
    ("become-wrong-password", r"incorrect password|authentication fail|sorry, try again"),
)
"""Texts of sudo, sudo-rs, su (util-linux, busybox, shadow), doas and sh, the first that fits."""


def _exec(become: Become, arguments: list[str], command: str) -> str:
    words = [become.executable or become.method, *arguments]
    return f"exec {' '.join(_word(word) for word in words)} {command}"


def _word(text: str) -> str:
    """A word for ``/bin/sh`` that holds no character of interest to any login shell around it."""
    if re.fullmatch(r"[\w@%+=:,./ \[\]-]+", text, re.ASCII):
        return f'"{text}"'
    octal = "".join(rf"\{byte:03o}" for byte in text.encode("utf-8", "surrogateescape"))
    return f'"$(printf "{octal}")"'
