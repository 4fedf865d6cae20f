"""The folder of the store: nobody else's, on a disk of this machine, ignored by git."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chargehand.errors import StoreError

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "fuse.sshfs",
    "fuse.glusterfs",
)
_OTHERS_MAY_WRITE: Final = 0o022


def prepare_folder(folder: Path) -> None:
    """Make `folder`, which only its owner may enter and git ignores, unless it is there.

    Raises:
        StoreError: It cannot be made, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(folder)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    except OSError as error:
        raise StoreError(f"{folder}: the folder of the history cannot be made: {error.strerror}") from error


def check_owner(path: Path) -> None:
    """Refuse a file or folder into which others may write.

    Raises:
        StoreError: They may, or it belongs to somebody else and we are not root.
    """
    status = path.stat()
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise StoreError(f"{path}: others may write to it; `chmod go-w {path}`")
    if os.geteuid() not in (0, status.st_uid):
        raise StoreError(f"{path}: belongs to user {status.st_uid}; run as that user, or set another `store`")


def check_local(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a folder on a network file system, whose locks and syncs cannot be relied upon.

    Raises:
        StoreError: It is on one, as far as the system says.
    """
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields, _, rest = line.partition(" - ")
        kind = rest.split(" ", 1)[0]
        if fields.split(" ")[2:3] == [wanted] and kind in _NETWORK:
            raise StoreError(
                f"{folder}: is on a network file system ({kind}), where a database file is not safe; "
                "use a local folder or PostgreSQL"
            )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock called `path`; waits for whoever has it, and goes with the process."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
