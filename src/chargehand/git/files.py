"""Files: what a commit holds, written out; nothing is checked out, and no filter or attribute counts."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.git.command import Git, GitError

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 * 1024**2
BATCH_BYTES: Final = 16 * 1024**2
_READ_S: Final = 60.0

_COMMIT: Final = expression(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_ENTRY: Final = expression(rb"([0-7]{6}) ([a-z]+) ([0-9a-f]{40,64}) +([0-9]+|-)\t(.+)\Z", re.DOTALL)
_PROGRAM, _LINK = b"100755", b"120000"


@frozen
class Exported:
    """What a commit's files came to.

    Attributes:
        files: How many were written.
        left_out: Paths of symbolic links and submodules, which are never written nor followed.
    """

    files: int
    left_out: tuple[str, ...] = ()


@frozen(kw_only=False)
class _Blob:
    name: str
    path: str
    size_bytes: int
    program: bool


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
    return write_files(Git(root.resolve(), environ), commit, "", folder)


def is_commit(text: str) -> bool:
    """Whether a text is the full name of a commit."""
    return bool(_COMMIT.match(text))


def write_files(git: Git, commit: str, path: str, folder: Path) -> Exported:
    """Write the files that a commit has at `path` of its repository, or below where git runs, if empty.

    Raises:
        GitError: As `export` says.
    """
    if not is_commit(commit):
        raise GitError(f"`{commit}` is no full name of a commit")
    try:
        git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    except GitError as error:
        raise GitError(f"the commit {commit[:12]} is not in the repository ({error})") from None
    blobs, left_out = _entries(git, commit, path)
    if not blobs:
        raise GitError(f"the commit {commit[:12]} holds no files of this project")
    for batch in _batches(blobs):
        for blob, content in zip(batch, _read(git, batch), strict=True):
            _write(folder, blob, content)
    return Exported(files=len(blobs), left_out=left_out)


def _entries(git: Git, commit: str, path: str) -> tuple[list[_Blob], tuple[str, ...]]:
    """The files that a commit has there, and the paths that are no files."""
    tree = f"{commit}:{path}" if path else commit
    listed = git.run(("ls-tree", "-r", "-z", "-l", "--end-of-options", tree)).stdout
    blobs, left_out, size_bytes = [], [], 0
    for entry in listed.split(b"\0")[:-1]:
        match = _ENTRY.match(entry)
        if match is None:
            raise GitError("git lists a commit in an unknown way")
        mode, kind, name, size, raw = match.groups()
        step = _checked(os.fsdecode(raw))
        if kind != b"blob" or mode == _LINK:
            left_out.append(step)
            continue
        size_bytes += int(size)
        blobs.append(_Blob(name.decode(), step, int(size), mode == _PROGRAM))
    if len(blobs) > MAX_FILES or size_bytes > MAX_BYTES:
        raise GitError(
            f"the commit {commit[:12]} holds {len(blobs)} files of {size_bytes} bytes; "
            f"at most {MAX_FILES} files of {MAX_BYTES} bytes are taken"
        )
    return blobs, tuple(left_out)


def _read(git: Git, blobs: Sequence[_Blob]) -> Iterator[bytes]:
    """The contents of some files, in order."""
    with tempfile.TemporaryFile() as names:
        names.write("".join(f"{blob.name}\n" for blob in blobs).encode())
        names.seek(0)
        size_bytes = sum(blob.size_bytes + 128 for blob in blobs)
        printed = git.run(
            ("cat-file", "--batch"), stdin=names, output_bytes=size_bytes, timeout_s=_READ_S
        ).stdout
    position = 0
    for blob in blobs:
        head = f"{blob.name} blob {blob.size_bytes}\n".encode()
        if not printed.startswith(head, position):
            raise GitError(f"the repository is broken: `{blob.path}` cannot be read")
        begin = position + len(head)
        position = begin + blob.size_bytes + 1
        yield printed[begin : position - 1]


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
        if batch and size_bytes + blob.size_bytes > BATCH_BYTES:
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
