"""The way to a host over SSH: `SshProvider`, built on Fabric's Connection.

From the wire up: `line` and `wire` (bytes) and `dial` (how they get a socket), `message`, `packets`,
`exchange`, `agreement`, `attempt`, `orderly` and `transport` (paramiko's, made our own), `memory` and
`foresight` (what a host is thought to bear), `stock` (paramiko's as it is), `base` (what both are) and
`kinds` (which one), `hostkey`, `trust`, `identity` and `login` (who is who), `config` (ssh_config) and
`route` (what it comes to), `gate` and `bastion` (what hosts share), `link` (one connection) and `idle` (those
that are kept), `failure` (every way it goes wrong, in one place), `command` (a channel on which one runs) and
`channel` (one as a start sees it), `session`, `provider`; `ahead` of all, what both libraries are spared.
"""

from chargehand.ssh import ahead
from chargehand.ssh.provider import SshProvider, StockSshProvider, ThreadedSshProvider

__all__ = ["SshProvider", "StockSshProvider", "ThreadedSshProvider", "ahead"]
