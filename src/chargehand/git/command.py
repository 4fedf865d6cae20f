"""Command: the git command line with every door shut; a repository may have been written by a stranger."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from chargehand.program import Printed, ProgramError, run_program

LOOK_S: Final = 20.0
LIST_BYTES: Final = 32 * 1024**2
_SHUT: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
)
_KEPT: Final = ("PATH", "HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH")
"""All that git gets of our environment, which may hold secrets."""

_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "",  # beats a `protocol.ext.allow` that a repository sets
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class GitError(Exception):
    """Git does not give what it was asked for; says why in one line."""


class Git:
    """Git in one folder: it fetches, asks and starts nothing but what it is told to.

    Args:
        folder: Where it runs.
        environ: Where git is found, and what it is started with.
        git_dir: A repository that lies elsewhere; None looks for one from `folder` upwards.
        own: Variables that only this use of git gets.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        git_dir: Path | None = None,
        own: Mapping[str, str] | None = None,
    ) -> None:
        self._git = find_program("git", environ)
        self._folder = folder
        self._where = [] if git_dir is None else [f"--git-dir={git_dir}"]
        kept = {name: environ[name] for name in _KEPT if name in environ}
        self._environ = kept | _ENVIRONMENT | dict(own or {})

    def text(self, *words: str) -> str:
        """What git prints, as one text."""
        return os.fsdecode(self.run(words).stdout).removesuffix("\n")

    def run(
        self,
        words: Sequence[str],
        *,
        settings: Sequence[str] = (),
        stdin: IO[bytes] | None = None,
        output_bytes: int = LIST_BYTES,
        timeout_s: float = LOOK_S,
    ) -> Printed:
        """Run git to its end.

        Args:
            words: The command and its arguments.
            settings: In place of any configuration, as ``name=value``.
            stdin: A file that it reads.
            output_bytes: Of standard output, at most.
            timeout_s: From its start to its end.

        Raises:
            GitError: It cannot be run, or says no.
        """
        printed = self.ask(
            words, settings=settings, stdin=stdin, output_bytes=output_bytes, timeout_s=timeout_s
        )
        if printed.status:
            raise GitError(complaint(printed.stderr) or f"`git {words[0]}` ends with {printed.status}")
        return printed

    def ask(
        self,
        words: Sequence[str],
        *,
        settings: Sequence[str] = (),
        stdin: IO[bytes] | None = None,
        output_bytes: int = LIST_BYTES,
        timeout_s: float = LOOK_S,
        before: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> Printed:
        """Run git as `run` does; a status other than 0 is an answer.

        Args:
            words: The command and its arguments.
            settings: In place of any configuration, as ``name=value``.
            stdin: A file that it reads.
            output_bytes: Of standard output, at most.
            timeout_s: From its start to its end.
            before: A program that is to start git, with its arguments.
            environ: Variables over those that it has.
            descriptors: Open files that it and its children may read.

        Raises:
            GitError: It cannot be run, is too slow or prints too much.
        """
        options = [word for setting in (*_SHUT, *settings) for word in ("-c", setting)]
        try:
            return run_program(
                [*before, self._git, "--no-pager", *self._where, *options, *words],
                environ={**self._environ, **(environ or {})},
                folder=self._folder,
                timeout_s=timeout_s,
                output_bytes=output_bytes,
                stdin=stdin,
                descriptors=descriptors,
            )
        except ProgramError as error:
            raise GitError(f"`git {words[0]}` {error}") from None


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The whole path of a program.

    Raises:
        GitError: It is not installed.
    """
    found = shutil.which(name, path=environ.get("PATH"))
    if found is None or not Path(found).is_absolute():
        raise GitError(f"{name} is not installed")
    return found


def complaint(stderr: bytes) -> str:
    """The first line of what git says, as it may be shown."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    own = [line for line in lines if not line.startswith(("remote:", "hint:"))]
    text = (own or lines or [""])[0].removeprefix("fatal: ").removeprefix("error: ")
    return "".join(char if char.isprintable() else "?" for char in text)[:200]
