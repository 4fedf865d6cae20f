"""Everybody we are measured against, by name."""

from benchmarks.ours import PROCESSES, UNRECORDED
from benchmarks.peer import Peer, start_program
from benchmarks.peers.ansible import ANSIBLE
from benchmarks.peers.openssh import CLUSH, PSSH, XARGS
from benchmarks.peers.pyinfra import PYINFRA

PARAMIKO = Peer(
    name="paramiko, threads", library="paramiko", packages=("paramiko",), start=start_program("paramiko")
)
FABRIC = Peer(name="Fabric, threads", library="fabric", packages=("fabric",), start=start_program("fabric"))
ASYNCSSH = Peer(name="asyncssh", library="asyncssh", packages=("asyncssh",), start=start_program("asyncssh"))
SSH_PYTHON = Peer(
    name="ssh-python, threads",
    library="ssh-python",
    packages=("ssh-python",),
    start=start_program("ssh_python"),
)
PARALLEL_SSH = Peer(
    name="parallel-ssh",
    library="parallel-ssh",
    packages=("parallel-ssh",),
    start=start_program("parallel_ssh"),
    verifies=False,
)
LIBRARIES = {
    "ssh-python": SSH_PYTHON,
    "parallel-ssh": PARALLEL_SSH,
    "asyncssh": ASYNCSSH,
    "paramiko": PARAMIKO,
    "fabric": FABRIC,
}
PEERS = {
    "unrecorded": UNRECORDED,
    "processes": PROCESSES,
    **LIBRARIES,
    **XARGS,
    **CLUSH,
    **PSSH,
    **ANSIBLE,
    "pyinfra": PYINFRA,
}
