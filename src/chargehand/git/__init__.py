"""Git: the commit a project is at, the files of a commit, and a mirror of a repository that is tracked."""

from chargehand.git.command import GitError
from chargehand.git.credential import Credential
from chargehand.git.files import Exported, export, is_commit
from chargehand.git.head import Head, find_commit, list_files, read_branch, read_head
from chargehand.git.mirror import Mirror
from chargehand.git.signature import Keys, Signature, open_keys

__all__ = [
    "Credential",
    "Exported",
    "GitError",
    "Head",
    "Keys",
    "Mirror",
    "Signature",
    "export",
    "find_commit",
    "is_commit",
    "list_files",
    "open_keys",
    "read_branch",
    "read_head",
]
