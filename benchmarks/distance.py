"""Distance: two network namespaces with a long way between them, for clients here and servers there."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import Fleet, addresses
from benchmarks.servers import compile_program, free_port

NETWORK = "10.77"
"""All its addresses are hosts, on the far side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Words that enter a namespace, before a command.

    Attributes:
        here: Where clients run.
        there: Where servers run.
        device: What servers answer on.
    """

    here: tuple[str, ...]
    there: tuple[str, ...]
    device: str = "there"


@contextmanager
def distant_fleet(count: int, round_trip_ms: float) -> Iterator[tuple[Fleet, Distance]]:
    """A fleet so far away, in namespaces that go in the end; needs root.

    There are three: the client's, the server's, and one between them, where a program delays all frames.
    """
    names = {place: f"chargehand-{os.getpid()}-{place}" for place in ("here", "between", "there")}
    with ExitStack() as undoing:
        scratch = undoing.enter_context(tempfile.TemporaryDirectory(prefix="chargehand-fleet-"))
        for name in names.values():
            _ip("netns", "add", name)
            undoing.callback(_ip, "netns", "delete", name)
        _connect(names)
        undoing.enter_context(_forwarding(names["between"], Path(scratch), round_trip_ms))
        fleet = Fleet(folder=Path(scratch), hosts=tuple(addresses(count, NETWORK)), port=free_port())
        fleet.write()
        here, there = (("ip", "netns", "exec", names[place]) for place in ("here", "there"))
        yield fleet, Distance(here=here, there=there)


def _connect(names: dict[str, str]) -> None:
    """Lay two cables to the place between, and say who is where.

    The far end is a gateway to the whole network, all of whose addresses are its own, and both ends know each
    other's hardware address: nobody ever has to ask the long way who is who.
    """
    hardware = {"here": "02:00:00:00:00:01", "there": "02:00:00:00:00:02"}
    ends = {"here": "10.76.0.1", "there": "10.76.0.2"}
    for place in ("here", "there"):
        between = f"to-{place}"
        _ip("link", "add", place, "netns", names[place], "address", hardware[place], "type", "veth",
            "peer", "name", between, "netns", names["between"])  # fmt: skip
        _ip("-n", names["between"], "link", "set", between, "up")
        _ip("-n", names[place], "link", "set", "lo", "up")
        _ip("-n", names[place], "link", "set", place, "up")
        _ip("-n", names[place], "address", "add", f"{ends[place]}/24", "dev", place)
    for place, other in (("here", "there"), ("there", "here")):
        _ip("-n", names[place], "neighbour", "add", ends[other], "lladdr", hardware[other], "dev", place)
    _ip("-n", names["here"], "route", "add", f"{NETWORK}.0.0/16", "via", ends["there"])
    _ip("-n", names["there"], "route", "add", "local", f"{NETWORK}.0.0/16", "dev", "lo")


@contextmanager
def _forwarding(namespace: str, folder: Path, round_trip_ms: float) -> Iterator[None]:
    program = compile_program("delay_forwarder.c", folder)
    microseconds = round(round_trip_ms * 1000 / 2)
    words = ["ip", "netns", "exec", namespace, str(program), "to-here", "to-there", str(microseconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as forwarder:
        try:
            if forwarder.stdout is None or forwarder.stdout.readline() != b"ready\n":
                raise SystemExit("the delaying forwarder does not start")
            yield
        finally:
            forwarder.terminate()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
