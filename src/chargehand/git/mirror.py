"""Mirror: a bare copy of one branch of a repository, of which only objects are believed.

It is made and brought up to date by `git fetch`, with every object checked, its size, memory and time
bounded, and never a hook, a submodule, a tag or a configuration of the other side. Whoever uses it holds its
lock; what a killed fetch left behind is removed by the next.
"""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from chargehand.git.command import Git, GitError, complaint
from chargehand.git.credential import Credential, handed
from chargehand.git.files import Exported, is_commit, write_files
from chargehand.git.signature import Keys, Signature, read_signature
from chargehand.program import Printed
from chargehand.remote import Remote

MOST_COMMITS: Final = 1000
"""So many new commits are looked at one by one."""

_PACK_BYTES: Final = 1024**3
_MEMORY_KIB: Final = 4 * 1024**2
_CPU_S: Final = 300
_TIP: Final = "refs/chargehand/tip"
_TRIES: Final = 3
_OVERTAKEN: Final = b"cannot lock ref"
"""So git says when another fetch came first: that of a `sync` which was killed lives on until it is done."""
_BOUNDS: Final = 'ulimit -f "$1" && ulimit -v "$2" && ulimit -t "$3" && shift 3 && exec "$@"'
_SETTINGS: Final = (
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "gc.autoDetach=false",
    "core.bigFileThreshold=16m",
    "http.followRedirects=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=30",
)
_SSH: Final = (
    "ssh",
    "-oBatchMode=yes",
    "-oStrictHostKeyChecking=yes",
    "-oConnectTimeout=10",
    "-oServerAliveInterval=10",
    "-oServerAliveCountMax=2",
    "-oForwardAgent=no",
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
    "-oControlMaster=no",
)
_KEPT: Final = (
    "SSH_AUTH_SOCK",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
)
"""What reaching a repository may need of our environment."""


class Mirror:
    """A bare copy of one branch; made by the first fetch.

    Args:
        folder: Of the copy; what lies beside it under its name and an ending is the copy's too.
        environ: Where git and ssh are found, and what they are started with.
        pack_bytes: No file that a fetch writes is larger.
    """

    def __init__(
        self, folder: Path, *, environ: Mapping[str, str] = os.environ, pack_bytes: int = _PACK_BYTES
    ) -> None:
        self._folder = folder.absolute()
        self._environ = environ
        self._pack_bytes = pack_bytes
        own = {name: environ[name] for name in _KEPT if name in environ}
        self._own = own | {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
        }

    def fetch(self, remote: Remote, credential: Credential) -> str:
        """Bring the copy up to date; the full name of the branch's newest commit.

        Args:
            remote: Which repository and branch.
            credential: What it asks for.

        Raises:
            GitError: It cannot be reached, does not know us or the branch, or sends what is refused.
        """
        self._make()
        for _ in range(_TRIES):
            printed = self._fetch(remote, credential)
            if not printed.status:
                return self._git().text("rev-parse", "--verify", f"{_TIP}^{{commit}}")
            if _OVERTAKEN not in printed.stderr:
                break
        raise GitError(_refusal(printed))

    def _fetch(self, remote: Remote, credential: Credential) -> Printed:
        """Fetch once."""
        self._clean()
        with handed(credential) as given:
            return self._git().ask(
                (
                    "fetch",
                    "--quiet",
                    "--no-tags",
                    "--no-recurse-submodules",
                    "--no-write-fetch-head",
                    "--force",
                    "--",
                    remote.url,
                    f"+refs/heads/{remote.branch}:{_TIP}",
                ),
                settings=(*_SETTINGS, *given.settings),
                timeout_s=remote.timeout,
                before=self._bounds(),
                environ={
                    "GIT_ALLOW_PROTOCOL": remote.scheme,
                    "GIT_SSH_COMMAND": shlex.join((*_SSH, *given.ssh)),
                    "GIT_SSH_VARIANT": "ssh",
                },
                descriptors=given.descriptors,
            )

    def has(self, commit: str) -> bool:
        """Whether a commit, with all that it holds, is here."""
        if not is_commit(commit) or not self._folder.is_dir():
            return False
        return self._git().ask(("cat-file", "-e", f"{commit}^{{commit}}")).status == 0

    def follows(self, commit: str, before: str) -> bool:
        """Whether a commit has another one among its ancestors, or is the same."""
        return self._git().ask(("merge-base", "--is-ancestor", before, commit)).status == 0

    def new_commits(self, commit: str, *, before: str | None) -> tuple[str, ...]:
        """A commit and its ancestors that `before` does not have, the newest first.

        Raises:
            GitError: There are more than `MOST_COMMITS`.
        """
        past = [] if before is None else [f"^{before}"]
        listed = self._git().text("rev-list", f"--max-count={MOST_COMMITS + 1}", commit, *past).split()
        if len(listed) > MOST_COMMITS:
            raise GitError(f"there are more than {MOST_COMMITS} commits of which every one is to be checked")
        return tuple(listed)

    def touched(self, commit: str) -> frozenset[str]:
        """The paths that a commit changes; of a merge, those in which it differs from any of its parents."""
        words = ("diff-tree", "-r", "-m", "--root", "--no-commit-id", "--name-only", "-z", "--no-renames")
        return _paths(self._git().run((*words, commit)))

    def changed(self, before: str | None, commit: str) -> frozenset[str]:
        """The paths that differ between two commits; all of a commit, when there is none before."""
        if before is None:
            return _paths(self._git().run(("ls-tree", "-r", "-z", "--name-only", commit)))
        words = ("diff-tree", "-r", "--name-only", "-z", "--no-renames")
        return _paths(self._git().run((*words, before, commit)))

    def signature(self, commit: str, keys: Keys) -> Signature | None:
        """Who signed a commit, by git's own word; None when nobody did whose key is known and good."""
        return read_signature(self._git(), commit, keys)

    def export(self, commit: str, path: str, folder: Path) -> Exported:
        """Write the files that a commit has at a path; see `export`."""
        return write_files(self._git(), commit, path, folder)

    def _git(self) -> Git:
        return Git(self._folder, self._environ, git_dir=self._folder, own=self._own)

    def _bounds(self) -> list[str]:
        """The program that starts git with limits which its children have too."""
        blocks = max(1, self._pack_bytes // 512)
        return ["/bin/sh", "-c", _BOUNDS, "sh", str(blocks), str(_MEMORY_KIB), str(_CPU_S)]

    def _make(self) -> None:
        """Make the copy, which gets its name when it is complete."""
        if self._folder.is_dir():
            return
        draft = self._folder.with_name(f"{self._folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(mode=0o700, parents=True)
            Git(draft, self._environ, own=self._own).text("init", "--bare", "--quiet", "--template=", ".")
            draft.rename(self._folder)
        except OSError as error:
            raise GitError(f"{self._folder}: cannot be made: {error.strerror}") from None

    def _clean(self) -> None:
        """Remove what a killed fetch left, or is at: its locks, and packs that were not finished."""
        for path in _leftovers(self._folder):
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _leftovers(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.lock")
    yield from (folder / "refs").rglob("*.lock")
    yield from (folder / "objects").rglob("tmp_*")
    yield from (folder / "objects").glob("incoming-*")
    yield from (folder / "objects").rglob("*.lock")


def _paths(printed: Printed) -> frozenset[str]:
    return frozenset(os.fsdecode(path) for path in printed.stdout.split(b"\0") if path)


def _refusal(printed: Printed) -> str:
    return complaint(printed.stderr) or f"`git fetch` ends with {printed.status}"
