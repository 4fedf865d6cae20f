"""What it costs to write a run down: python -m benchmarks recording [--hosts N] [--pairs N].

Runs scripts on hosts that only act (`chargehand.testing`), once written into a SQLite file and once not, in
turns, each in a process of its own: the medians and the ranges of what the pairs took.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.arguments import keep
from benchmarks.machine import describe
from benchmarks.record import RESULTS, Record

from chargehand.connection import ConnectionSettings
from chargehand.limits import Limits
from chargehand.provenance import Launch, Provenance
from chargehand.recording import Book
from chargehand.report.invocation import InvocationRecord, TargetingRecord
from chargehand.runner import Runner
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation
from chargehand.store import Share, Store, open_store
from chargehand.testing import Act, ScriptedProvider

PRINTED = b"active (running) since today\n" * 7


class Run(NamedTuple):
    """What one run took, from its first host to its last."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def main(arguments: Sequence[str]) -> None:
    """Measure in turns, and write down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--level", type=int, default=100, help="hosts at once")
    parser.add_argument("--takes", type=float, default=0.1, help="seconds that every script runs")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where databases are made")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write into")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    parser.add_argument("--once", choices=("recorded", "plain"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.once:
        print(json.dumps(run(given, recorded=given.once == "recorded")))
        return
    machine = describe()
    pairs = [(measure("plain", arguments), measure("recorded", arguments)) for _ in range(given.pairs)]
    extra = [(recorded.cpu_seconds - plain.cpu_seconds) * 1000 / given.hosts for plain, recorded in pairs]
    notes = (
        f"{given.hosts} hosts, {given.level} at once, scripts of {given.takes:g} s, {given.pairs} pairs",
        told("wall, recorded / plain", [recorded.seconds / plain.seconds for plain, recorded in pairs]),
        told("CPU, recorded / plain", [kept.cpu_seconds / plain.cpu_seconds for plain, kept in pairs]),
        told("CPU to record a host, ms", extra),
        told("peak memory, plain, MB", [plain.megabytes for plain, _ in pairs]),
        told("peak memory, recorded, MB", [recorded.megabytes for _, recorded in pairs]),
    )
    keep(Record(name="recording", machine=machine, tables=(), notes=notes), given)


def measure(kind: str, arguments: Sequence[str]) -> Run:
    """One run in a process of its own."""
    line = [sys.executable, "-m", "benchmarks", "recording", "--once", kind, *arguments]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
    return Run(*json.loads(done.stdout))


def told(what: str, values: Sequence[float]) -> str:
    """A median and its range."""
    return f"{what}: {statistics.median(values):.3f} [{min(values):.3f}-{max(values):.3f}]"


def run(given: argparse.Namespace, *, recorded: bool) -> Run:
    """Run scripts on all hosts, from the intent to the end; what that took."""
    shares = [share(number) for number in range(given.hosts)]
    provider = ScriptedProvider(otherwise=Act(output=[("stdout", PRINTED)], takes_s=given.takes))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        limits = Limits(concurrency_level=given.level)
        if not recorded:
            runner = Runner(limits, spool=folder, find_provider=provider.find, clock=now)
            begun, cpu = time.perf_counter(), cpu_seconds()
            result = runner.run(shares)
            return Run(time.perf_counter() - begun, cpu_seconds() - cpu, peak_megabytes())
        state = folder / "state"
        store = stack.enter_context(open_store("", state=state, clock=now))
        runner_id = stack.enter_context(store.runners.register(state)).id
        begun, cpu = time.perf_counter(), cpu_seconds()
        book = open_book(store, shares, runner_id)
        ledger = book.open_ledger(shares, now)
        assert ledger
        find = ledger.recorded(provider.find)
        runner = Runner(limits, [ledger], spool=folder, find_provider=find, clock=now)
        with ledger.opened(runner):
            result = runner.run(shares)
        book.finish(result, result.exit_code)
        took = Run(time.perf_counter() - begun, cpu_seconds() - cpu, peak_megabytes())
        if ledger.trouble or store.history.find(book.record.id).record.status:
            sys.exit("the run was not written down as it should be")
        return took


def share(number: int) -> TemplateInvocation:
    """What runs on one host."""
    name = f"web{number:05}"
    script = RenderedScript(content=b"systemctl status nginx\n")
    return TemplateInvocation(
        host=name, host_id=number, settings=ConnectionSettings(address=name), script=script
    )


def open_book(store: Store, shares: Sequence[TemplateInvocation], runner_id: str) -> Book:
    """Write down that scripts are about to run."""
    hosts = tuple((each.host, each.host_id) for each in shares)
    record = InvocationRecord(
        id=0,
        description="Status of nginx",
        job_category="Services",
        task_id=str(uuid.uuid4()),
        state="running",
        targeting=TargetingRecord(id=0, search_query="*", targeting_type="static_query", hosts=hosts),
        start_at=now(),
        begun=True,
        provenance=Provenance(user="ann"),
    )
    rows = [
        Share(host_name=each.host, host_id=each.host_id, token=each.script and each.script.token)
        for each in shares
    ]
    number = store.invocations.create(record, Launch(job="{}"), rows, runner_id=runner_id, created_at=now())
    assert number
    return Book(record=replace(record, id=number), store=store, runner_id=runner_id)


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)


def cpu_seconds() -> float:
    """Of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_megabytes() -> float:
    """The most memory that this process ever took."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
