"""Signature: who signed a commit, as `git verify-commit` says, which asks gpg or ssh-keygen."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.git.command import Git, GitError, complaint, find_program
from chargehand.program import Printed, ProgramError, run_program

_IMPORT_S: Final = 30.0
_IMPORT_BYTES: Final = 1024**2
_NOTHING: Final = "/bin/false"
_SSH: Final = expression(r'Good "git" signature for (.+) with (\S+) key (SHA256:[A-Za-z0-9+/=]+)\Z')
_VALID: Final = expression(r"\[GNUPG:\] VALIDSIG ([0-9A-F]{40,64}) .* ([0-9A-F]{40,64})\Z")
_DOUBTS: Final = (
    "BADSIG",
    "ERRSIG",
    "EXPSIG",
    "EXPKEYSIG",
    "REVKEYSIG",
    "KEYREVOKED",
    "KEYEXPIRED",
    "NO_PUBKEY",
)
_GPG_CONF: Final = "no-auto-key-retrieve\nno-auto-key-import\nauto-key-locate clear\nno-autostart\nbatch\n"


@frozen
class Signature:
    """A good signature by a known key.

    Attributes:
        names: What the signer may be called by a rule: a principal, or the fingerprints of a GPG key.
        kind: ``ssh`` or ``gpg``.
    """

    names: tuple[str, ...]
    kind: str

    def __str__(self) -> str:
        return self.names[0]


@frozen
class Keys:
    """The keys that are known; from `open_keys`.

    Attributes:
        allowed_signers: OpenSSH's file of them; None knows none.
        gpg_home: A folder of gpg that holds them; None knows none.
        gpg: The program.
        ssh_keygen: The program.
    """

    allowed_signers: Path | None = None
    gpg_home: Path | None = None
    gpg: str = _NOTHING
    ssh_keygen: str = _NOTHING


@contextmanager
def open_keys(
    allowed_signers: Path | None, gpg_keys: tuple[Path, ...], *, environ: Mapping[str, str] = os.environ
) -> Iterator[Keys]:
    """The keys that some files hold, and no others of this machine, as long as the block goes on.

    Raises:
        GitError: A file cannot be read, holds no key, or a program is not installed.
    """
    if allowed_signers is not None and not os.access(allowed_signers, os.R_OK):
        raise GitError(f"the allowed signers file `{allowed_signers}` cannot be read")
    ssh_keygen = find_program("ssh-keygen", environ) if allowed_signers else _NOTHING
    signers = allowed_signers.resolve() if allowed_signers else None
    if not gpg_keys:
        yield Keys(allowed_signers=signers, ssh_keygen=ssh_keygen)
        return
    gpg = find_program("gpg", environ)
    with tempfile.TemporaryDirectory(prefix="chargehand-") as home:
        (Path(home) / "gpg.conf").write_text(_GPG_CONF, encoding="ascii")
        for file in gpg_keys:
            _import(gpg, Path(home), file, environ)
        yield Keys(allowed_signers=signers, gpg_home=Path(home), gpg=gpg, ssh_keygen=ssh_keygen)


def read_signature(git: Git, commit: str, keys: Keys) -> Signature | None:
    """Who signed a commit; None when nobody did whose key is known and good.

    Raises:
        GitError: Git cannot be asked.
    """
    printed = git.ask(
        ("verify-commit", "--raw", commit),
        settings=(
            f"gpg.program={keys.gpg}",
            f"gpg.openpgp.program={keys.gpg}",
            f"gpg.x509.program={_NOTHING}",
            f"gpg.ssh.program={keys.ssh_keygen}",
            f"gpg.ssh.allowedSignersFile={keys.allowed_signers or os.devnull}",
            "gpg.ssh.revocationFile=",
            "gpg.ssh.defaultKeyCommand=",
        ),
        environ={"GNUPGHOME": str(keys.gpg_home or os.devnull)},
    )
    return _signature(printed) if printed.status == 0 else None


def _signature(printed: Printed) -> Signature | None:
    lines = printed.stderr.decode(errors="replace").splitlines()
    said = [line.split(" ")[1] for line in lines if line.startswith("[GNUPG:] ") and " " in line[9:]]
    if not said:
        found = [match for line in lines if (match := _SSH.match(line))]
        return Signature(names=(found[0][1], found[0][3]), kind="ssh") if len(found) == 1 else None
    valid = [match for line in lines if (match := _VALID.match(line))]
    if len(valid) != 1 or said.count("GOODSIG") != 1 or any(doubt in said for doubt in _DOUBTS):
        return None
    return Signature(names=(valid[0][2], valid[0][1]), kind="gpg")


def _import(gpg: str, home: Path, file: Path, environ: Mapping[str, str]) -> None:
    try:
        with file.open("rb") as keys:
            printed = run_program(
                [gpg, "--homedir", str(home), "--quiet", "--import"],
                environ={"PATH": environ.get("PATH", ""), "LC_ALL": "C"},
                folder=home,
                timeout_s=_IMPORT_S,
                output_bytes=_IMPORT_BYTES,
                stdin=keys,
            )
    except OSError as error:
        raise GitError(f"the keys in `{file}` cannot be read: {error.strerror}") from None
    except ProgramError as error:
        raise GitError(f"`gpg --import` {error}") from None
    if printed.status:
        raise GitError(f"`{file}` holds no GPG public keys: {complaint(printed.stderr)}")
