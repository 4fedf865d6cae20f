"""Git: the commit a project is at, whether its files differ from that, and the files of a commit.

The git command line, told never to run, fetch or ask anything: a repository may have been written by a
stranger. The user's own git configuration is read, so that ``safe.directory``, ignored files and line
endings count as they do for `git status`; no program that any configuration names is started.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from chargehand.program import Printed, ProgramError, run_program

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 * 1024**2
_BATCH_BYTES: Final = 16 * 1024**2
_LIST_BYTES: Final = 32 * 1024**2
_LOOK_S: Final = 20.0
_READ_S: Final = 60.0

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_ENTRY = re.compile(rb"([0-7]{6}) ([a-z]+) ([0-9a-f]{40,64}) +([0-9]+|-)\t(.+)\Z", re.DOTALL)
_PROGRAM, _LINK = b"100755", b"120000"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is checked out.

    Attributes:
        commit: Its full name; None when it cannot be told.
        dirty: Whether files of the project differ from it, untracked ones included; ignored files and the
            state folder do not count. None when that cannot be told.
        reason: Why something cannot be told, in one line.
    """

    commit: str | None = None
    dirty: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a commit's files came to.

    Attributes:
        files: How many were written.
        left_out: Paths of symbolic links and submodules, which are never written nor followed.
    """

    files: int
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blob:
    name: str
    path: str
    size_bytes: int
    program: bool


def read_head(root: Path, *, environ: Mapping[str, str] = os.environ) -> Head | None:
    """What is checked out in a project's folder; None when it does not lie in a git repository.

    Trouble with git is a reason, never an error: nothing depends on the answer but what is told of a run.

    Args:
        root: The project's folder; nothing beside and above it is looked at.
        environ: Where git is found, and what it is started with.
    """
    begin = root.resolve()
    if not any((folder / ".git").exists() for folder in (begin, *begin.parents)):
        return None
    commit = None
    try:
        git = _Git(begin, environ)
        commit = git.text("rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
        return Head(commit=commit, dirty=git.is_dirty())
    except GitError as error:
        return Head(commit=commit, reason=str(error))


def export(root: Path, commit: str, folder: Path, *, environ: Mapping[str, str] = os.environ) -> Exported:
    """Write the files of a project as they are in a commit; nothing is checked out.

    The bytes are those of the repository: no filter, attribute or line ending is applied to them.

    Args:
        root: The project's folder; only what the commit has below it is written.
        commit: Full name of the commit.
        folder: Where to, empty.
        environ: Where git is found, and what it is started with.

    Raises:
        GitError: The commit is not here, or holds nothing of the project, or a path that is unsafe.
    """
    if not _COMMIT.match(commit):
        raise GitError(f"`{commit}` is no full name of a commit")
    git = _Git(root.resolve(), environ)
    try:
        git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    except GitError as error:
        raise GitError(f"the commit {commit[:12]} is not in the repository ({error})") from None
    blobs, left_out = git.entries(commit)
    if not blobs:
        raise GitError(f"the commit {commit[:12]} holds no files of this project")
    for batch in _batches(blobs):
        for blob, content in zip(batch, git.read(batch), strict=True):
            _write(folder, blob, content)
    return Exported(files=len(blobs), left_out=left_out)


def find_commit(root: Path, revision: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """The full name of the commit that a revision means.

    Args:
        root: The project's folder.
        revision: As git reads it: a commit, branch or tag, ``HEAD~2``, ``main@{yesterday}``.
        environ: Where git is found, and what it is started with.

    Raises:
        GitError: It means no commit here, or could be taken for an option.
    """
    shown = "".join(char if char.isprintable() else "?" for char in revision)[:200]
    if not revision or revision.startswith("-") or shown != revision:
        raise GitError(f"`{shown}` is no name of a revision")
    try:
        git = _Git(root.resolve(), environ)
        commit = git.text("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except GitError as error:
        raise GitError(f"`{shown}` is no commit of this repository ({error})") from None
    if not _COMMIT.match(commit):
        raise GitError(f"`{shown}` is not one commit")
    return commit


def read_branch(root: Path, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """The branch that is checked out; None when none is, or when there is no git."""
    try:
        return _Git(root.resolve(), environ).text("symbolic-ref", "--short", "HEAD") or None
    except GitError:
        return None


def list_files(root: Path, *, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The files of a project that are, or would be, in its next commit, relative to it.

    Args:
        root: The project's folder; only what lies below it, without the state folder and ignored files.
        environ: Where git is found, and what it is started with.

    Raises:
        GitError: It is in no git repository.
    """
    words = ("--cached", "--others", "--exclude-standard", "--", ".", ":(exclude).chargehand")
    listed = os.fsdecode(_Git(root.resolve(), environ).listing("ls-files", "-z", *words))
    return frozenset(filter(None, listed.split("\0")))


class _Git:
    """Git in one folder, with every door shut."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        found = shutil.which("git", path=environ.get("PATH"))
        if found is None or not Path(found).is_absolute():
            raise GitError("git is not installed")
        self._git = found
        self._folder = folder
        self._environ = {name: environ[name] for name in _KEPT if name in environ} | _ENVIRONMENT

    def text(self, *words: str) -> str:
        """What git prints, as one text."""
        return os.fsdecode(self._run(words).stdout).removesuffix("\n")

    def listing(self, *words: str) -> bytes:
        """What git prints, as it is."""
        return self._run(words).stdout

    def is_dirty(self) -> bool:
        """Whether `git status` would list anything below the folder."""
        return bool(
            self._run(
                (
                    "status",
                    "--porcelain",
                    "-z",
                    "--untracked-files=normal",
                    "--ignore-submodules=dirty",
                    "--no-renames",
                    "--",
                    ".",
                    ":(exclude).chargehand",
                ),
                settings=self._without_filters(),
            ).stdout
        )

    def entries(self, commit: str) -> tuple[list[_Blob], tuple[str, ...]]:
        """The files that a commit has below the folder, and the paths that are no files."""
        listed = self._run(("ls-tree", "-r", "-z", "-l", "--end-of-options", commit)).stdout
        blobs, left_out, size_bytes = [], [], 0
        for entry in listed.split(b"\0")[:-1]:
            match = _ENTRY.match(entry)
            if match is None:
                raise GitError("git lists a commit in an unknown way")
            mode, kind, name, size, raw = match.groups()
            path = _checked(os.fsdecode(raw))
            if kind != b"blob" or mode == _LINK:
                left_out.append(path)
                continue
            size_bytes += int(size)
            blobs.append(_Blob(name.decode(), path, int(size), mode == _PROGRAM))
        if len(blobs) > MAX_FILES or size_bytes > MAX_BYTES:
            raise GitError(
                f"the commit {commit[:12]} holds {len(blobs)} files of {size_bytes} bytes; "
                f"at most {MAX_FILES} files of {MAX_BYTES} bytes are taken"
            )
        return blobs, tuple(left_out)

    def read(self, blobs: Sequence[_Blob]) -> Iterator[bytes]:
        """The contents of some files, in order."""
        with tempfile.TemporaryFile() as names:
            names.write("".join(f"{blob.name}\n" for blob in blobs).encode())
            names.seek(0)
            size_bytes = sum(blob.size_bytes + 128 for blob in blobs)
            printed = self._run(("cat-file", "--batch"), stdin=names, output_bytes=size_bytes).stdout
        position = 0
        for blob in blobs:
            head = f"{blob.name} blob {blob.size_bytes}\n".encode()
            if not printed.startswith(head, position):
                raise GitError(f"the repository is broken: `{blob.path}` cannot be read")
            begin = position + len(head)
            position = begin + blob.size_bytes + 1
            yield printed[begin : position - 1]

    def _without_filters(self) -> list[str]:
        """Settings by which no filter runs; a file whose time changed may count as different then."""
        listed = os.fsdecode(self._run(("config", "--list", "-z", "--name-only")).stdout)
        drivers = {
            name.rpartition(".")[0]
            for name in listed.split("\0")
            if name.startswith("filter.") and name.count(".") > 1
        }
        if any("=" in driver for driver in drivers):
            raise GitError("a filter of the git configuration has a `=` in its name")
        return [
            f"{driver}.{setting}"
            for driver in sorted(drivers)
            for setting in ("clean=", "process=", "smudge=", "required=false")
        ]

    def _run(
        self,
        words: Sequence[str],
        *,
        settings: Sequence[str] = (),
        stdin: IO[bytes] | None = None,
        output_bytes: int = _LIST_BYTES,
    ) -> Printed:
        options = [word for setting in (*_SHUT, *settings) for word in ("-c", setting)]
        try:
            printed = run_program(
                [self._git, "--no-pager", *options, *words],
                environ=self._environ,
                folder=self._folder,
                timeout_s=_LOOK_S if stdin is None else _READ_S,
                output_bytes=output_bytes,
                stdin=stdin,
            )
        except ProgramError as error:
            raise GitError(f"`git {words[0]}` {error}") from None
        if printed.status:
            raise GitError(_complaint(printed.stderr) or f"`git {words[0]}` ends with {printed.status}")
        return printed


def _complaint(stderr: bytes) -> str:
    """The first line of what git says, as it may be shown."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    text = lines[0].removeprefix("fatal: ") if lines else ""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def _checked(path: str) -> str:
    """The path, if it lies below the folder that it is written to whatever the file system makes of it."""
    steps = path.split("/")
    if any(step in ("", ".", "..") or step.lower() == ".git" or "\\" in step for step in steps):
        raise GitError(f"the commit holds a path that cannot be written: `{path}`")
    return path


def _batches(blobs: Sequence[_Blob]) -> Iterator[list[_Blob]]:
    """The files in groups that memory holds easily; a large file is one of its own."""
    batch: list[_Blob] = []
    size_bytes = 0
    for blob in blobs:
        if batch and size_bytes + blob.size_bytes > _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
        batch.append(blob)
        size_bytes += blob.size_bytes
    if batch:
        yield batch


def _write(folder: Path, blob: _Blob, content: bytes) -> None:
    path = folder / blob.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
        path.chmod(0o700 if blob.program else 0o600)
    except OSError as error:
        raise GitError(f"`{blob.path}` cannot be written: {error.strerror}") from None
