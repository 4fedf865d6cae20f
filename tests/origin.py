"""A real repository on a server, and somebody who pushes to it; signed, if that is asked for."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sshd import _free_port, make_key, wait_until

ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


class Work:
    """A real repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self("init", "--quiet", "--initial-branch=main")

    def __call__(
        self, *words: str, stdin: str | bytes = b"", environ: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=self.root,
            env={**ENVIRON, **(environ or {})},
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, name: str, text: str = "x\n", mode: int = 0o644) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def commit(self, *words: str) -> str:
        """Commit everything; its name."""
        self("add", "--all", "--force", ".")
        self("commit", "--quiet", "--allow-empty", "--message", "m", *words)
        return self("rev-parse", "HEAD")

    def blob(self, text: str = "x\n") -> str:
        """An object with that content."""
        return self("hash-object", "-w", "--stdin", stdin=text)

    def commit_tree(self, *entries: str) -> str:
        """A commit of a tree that no checkout would make."""
        listed = "".join(f"{entry}\0" for entry in entries).encode()
        return self("commit-tree", "-m", "m", self("mktree", "-z", "--missing", stdin=listed))


class Origin(Work):
    """A repository that somebody works in, and the bare one on a server that is pushed to.

    Attributes:
        bare: What the server has.
        keys: Where keys of signers are.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "work")
        self.bare, self.keys = folder / "served" / "fleet.git", folder / "keys"
        self.bare.mkdir(parents=True)
        self.keys.mkdir()
        self("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))

    def push(self, *words: str) -> str:
        """Commit everything and push it; the commit's name."""
        commit = self.commit(*words)
        self.send()
        return commit

    def send(self, what: str = "HEAD") -> None:
        """Set the branch of the server to something, whatever it was."""
        self("push", "--quiet", "--force", str(self.bare), f"{what}:refs/heads/main")

    def signing(self, who: str) -> tuple[str, ...]:
        """Words by which `commit` signs with the SSH key of somebody."""
        key = self.keys / who
        make_key(key)
        self("config", "gpg.format", "ssh")
        self("config", "user.signingKey", str(key))
        return ("--gpg-sign",)

    def allow(self, *names: str, options: str = "") -> Path:
        """The allowed signers file with the keys of some."""
        for who in names:
            make_key(self.keys / who)
        lines = [f"{who} {options}{(self.keys / f'{who}.pub').read_text()}" for who in names]
        file = self.keys / "allowed_signers"
        file.write_text("".join(lines))
        return file


class Gpg:
    """Somebody's GPG key, in a keyring of its own.

    Attributes:
        fingerprint: Of the key.
        public: A file of its public half.
        environ: By which git signs with it.
    """

    def __init__(self, home: Path, name: str) -> None:
        home.mkdir(mode=0o700)
        self.environ = {"GNUPGHOME": str(home)}
        self._home = home
        self._run(
            "--passphrase", "", "--quick-generate-key", f"{name}@example.com", "ed25519", "sign", "never"
        )
        listed = self._run("--with-colons", "--list-keys")
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.public = home / "public.asc"
        self.public.write_text(self._run("--armor", "--export"))

    def _run(self, *words: str) -> str:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *words]
        return subprocess.run(command, env=ENVIRON, capture_output=True, check=True, text=True).stdout


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """A git daemon on loopback that serves the repositories of a folder; its URL."""
    port = _free_port("127.0.0.1")
    program = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL", _daemon(), "--reuseaddr", "--export-all"),
            *(f"--base-path={folder}", "--listen=127.0.0.1", f"--port={port}", str(folder)),
        ],
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"git://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(f"{url}/fleet.git"), 20, "git daemon answers")
        yield url
    finally:
        program.kill()
        program.wait()


def _daemon() -> str:
    """The program itself: ended, ``git daemon`` would leave it behind."""
    words = ["git", "--exec-path"]
    found = subprocess.run(words, env=ENVIRON, capture_output=True, check=True, text=True).stdout
    return str(Path(found.strip()) / "git-daemon")


def _answers(url: str) -> bool:
    words = ["git", "ls-remote", url]
    return subprocess.run(words, env=ENVIRON, capture_output=True, check=False).returncode == 0
