"""Descriptors: how many hosts at once this process may open files and sockets for."""

import resource
from pathlib import Path

PER_HOST = 6
"""A socket, a pair to wake its reader, two spooled streams, one in passing."""

RESERVE = 64
"""For the store, logs, listings, and what a library opens without asking."""


def affordable(hosts: int, free: int | None = None) -> int:
    """As many of `hosts` as can be open at once; at least one."""
    room = free_descriptors() if free is None else free
    return max(1, min(hosts, (room - RESERVE) // PER_HOST))


def free_descriptors() -> int:
    """How many more descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    listing = Path("/proc/self/fd")
    return soft - (sum(1 for _ in listing.iterdir()) if listing.is_dir() else 0)
