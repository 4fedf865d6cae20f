"""Policy: whether a commit may be taken over, by who signed what; never by rules of its own."""

from collections.abc import Iterable
from pathlib import Path

from chargehand.errors import PolicyError
from chargehand.git.command import GitError
from chargehand.git.mirror import Mirror
from chargehand.git.signature import Signature, open_keys
from chargehand.push import Push
from chargehand.remote import Remote, SignerRule


def check_policy(
    mirror: Mirror, remote: Remote, commit: str, *, before: str | None, base: Path
) -> str | None:
    """Who signed a commit that may be taken over; None where nobody has to.

    Args:
        mirror: Holds both commits.
        remote: The rules.
        commit: The one that is to be taken over.
        before: That is in force; None when there is none.
        base: The folder that files of keys are relative to.

    Raises:
        PolicyError: It may not be.
        GitError: That cannot be told.
    """
    if before is not None and remote.force_push == "refuse" and not mirror.follows(commit, before):
        raise PolicyError(
            f"commit {commit[:12]} does not follow {before[:12]}, which is in force: the branch was set back "
            'or rewritten; force_push = "allow" in [git] would take it'
        )
    if remote.require is None:
        return None
    signers = base / Path(remote.allowed_signers).expanduser() if remote.allowed_signers else None
    keys = tuple(base / Path(file).expanduser() for file in remote.gpg_keys)
    with open_keys(signers, keys) as known:

        def signature(of: str) -> Signature:
            found = mirror.signature(of, known)
            if found is None:
                raise PolicyError(f"commit {of[:12]} has no good signature of a known key")
            return found

        signer = signature(commit)
        if remote.require == "head":
            _check_paths(remote, commit, signer, mirror.changed(before, commit))
            return str(signer)
        for each in reversed(mirror.new_commits(commit, before=_past(mirror, remote, before))):
            _check_paths(remote, each, signature(each), mirror.touched(each))
    return str(signer)


def _past(mirror: Mirror, remote: Remote, before: str | None) -> str | None:
    """The commit after which signatures are asked for."""
    if before is not None or remote.since is None:
        return before
    if not mirror.has(remote.since):
        raise GitError(f"the commit {remote.since[:12]} of the setting `git.since` is not in the repository")
    return remote.since


def _check_paths(remote: Remote, commit: str, signer: Signature, paths: Iterable[str]) -> None:
    """Refuse a commit that changes what its signer may not; what lies outside of the project is nobody's."""
    below = f"{remote.path}/" if remote.path else ""
    if not remote.signers:
        return
    names = {_name(each) for each in signer.names}
    for path in sorted(each for each in paths if each.startswith(below)):
        rule = next((rule for rule in remote.signers if _is_for(rule, path)), None)
        if rule is None:
            raise PolicyError(f"commit {commit[:12]} changes `{path}`, of which no rule says who may")
        if names.isdisjoint(map(_name, rule.who)):
            raise PolicyError(f"commit {commit[:12]} changes `{path}`, and {signer} who signed it may not")


def _is_for(rule: SignerRule, path: str) -> bool:
    return Push(paths=rule.paths).concerns("", (path,))


def _name(signer: str) -> str:
    """A fingerprint is the same in groups and in small letters; a principal is itself."""
    packed = signer.replace(" ", "").upper()
    return (
        packed if len(packed) in (40, 64) and all(char in "0123456789ABCDEF" for char in packed) else signer
    )
