"""A long history, written straight into the tables: python -m benchmarks.filling ROOT [URL]."""

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from sqlalchemy import Connection, Table, create_engine, func, insert, select, text

from chargehand.store import open_store
from chargehand.store.tables import job_invocation, output, recurring_logic, template_invocation

HOSTS = 5_000
"""Of the fleet, from which every invocation takes some."""
SPOKEN = 1_000
"""The newest so many invocations have an output of every host."""
AT_ONCE = 10_000
NOW = datetime.now(UTC).replace(microsecond=0)


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("url", nargs="?", default="")
    parser.add_argument("--invocations", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=10, help="of each invocation")
    given = parser.parse_args()
    fill(given.root, given.url, given.invocations, given.hosts)


def fill(root: Path, url: str, invocations: int, hosts: int) -> None:
    """Write a history, unless there is one."""
    state = root.resolve() / ".chargehand"
    open_store(url, state=state, clock=lambda: datetime.now(UTC)).close()
    driver = url.replace("postgresql://", "postgresql+psycopg://") if url else f"sqlite:///{state}/history.db"
    engine = create_engine(driver)
    begun = time.perf_counter()
    with engine.begin() as connection:
        if connection.scalar(select(func.count()).select_from(job_invocation)):
            return
        connection.execute(insert(recurring_logic), [logic(number) for number in range(1, 51)])
        write(
            connection,
            job_invocation,
            (invocation(number, invocations) for number in range(1, invocations + 1)),
        )
        write(connection, template_invocation, shares(invocations, hosts))
        write(connection, output, outputs(invocations, hosts))
        if url:
            for table in (job_invocation, template_invocation, output):
                numbered = f"pg_get_serial_sequence('{table.name}', 'id')"
                if "id" in table.c:
                    connection.execute(text(f"SELECT setval({numbered}, (SELECT max(id) FROM {table.name}))"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()
    print(f"filled in {time.perf_counter() - begun:.0f} s", file=sys.stderr)


def write(connection: Connection, table: Table, rows: Iterator[dict[str, object]]) -> None:
    """Insert very many rows, some at once."""
    while some := list(islice(rows, AT_ONCE)):
        connection.execute(insert(table), some)


def invocation(number: int, last: int) -> dict[str, object]:
    """One of each kind: repeated and unique names, ASCII and not, failed and not."""
    dice = Random(number)
    begun = NOW - timedelta(minutes=5 * (last - number) + 5)
    failed = dice.random() < 0.1
    verb = dice.choice(["Restart nginx", "Patch the web tier", "Straße kehren", "Rotate logs"])
    return {
        "id": number, "task_id": str(uuid.UUID(int=number)), "description": f"{verb} {number}",
        "job_category": "Services", "state": "stopped", "status_label": "failed" if failed else "succeeded",
        "exit_code": 5 if failed else 0, "created_at": begun, "start_at": begun, "started_at": begun,
        "ended_at": begun + timedelta(seconds=30), "search_query": "hostgroup = web",
        "targeting_type": "static_query", "resolved": True, "total": 10, "succeeded": 9 if failed else 10,
        "failed": int(failed), "cancelled": 0, "template_id": 1, "template_name": "Service Action",
        "inputs": [{"name": "service", "value": "nginx", "id": None, "hidden": False}],
        "user": dice.choice(["ann", "bob"]), "trigger": "recurrence",
        "playbook": f"playbooks/{number % 40}.yml", "job_name": verb,
        "commit": f"{number:040x}", "dirty": False, "recurring_logic_id": number % 50 + 1,
        "occurrence": begun,
        "launch": {"job": "{}", "inputs": {}, "left_out": [], "ssh_user": None, "concurrency_level": None,
                   "effective_user": None, "private_key_file": None, "inventory": []},
    }  # fmt: skip


def shares(invocations: int, hosts: int) -> Iterator[dict[str, object]]:
    """Results of hosts, one in fifty of them not good."""
    for number in range(1, invocations + 1):
        dice = Random(-number)
        for position, host in enumerate(sorted(dice.sample(range(HOSTS), hosts))):
            good = dice.random() > 0.02
            status = "succeeded" if good else dice.choice(["failed", "unreachable"])
            yield {
                "id": (number - 1) * hosts + position + 1, "job_invocation_id": number, "position": position,
                "host_name": f"web{host:04}", "host_id": host, "state": "stopped", "status": status,
                "token": f"{number:016x}{position:016x}", "script_sha256": f"{number:064x}",
                "exit_status": 0 if good else 1, "started_at": NOW, "duration_s": 1.5, "attempts": 1,
                "stdout_size_bytes": 200, "stdout_sha256": f"{host:064x}",
            }  # fmt: skip


def outputs(invocations: int, hosts: int) -> Iterator[dict[str, object]]:
    """A few lines of every host of the newest invocations."""
    for share in range(max(0, invocations - SPOKEN) * hosts + 1, invocations * hosts + 1):
        yield {
            "template_invocation_id": share, "sequence": 0, "at": NOW, "stream": 1, "offset_bytes": 0,
            "content": b"active (running) since today\n" * 7,
        }  # fmt: skip


def logic(number: int) -> dict[str, object]:
    """One recurring logic."""
    return {
        "id": number, "key": f"{number}", "playbook": f"playbooks/{number}.yml", "job_number": 0,
        "job_name": "nightly", "state": "active", "fingerprint": "f", "cron_line": "@daily",
        "time_zone": "UTC", "purpose": "nightly" if number == 7 else f"purpose {number}", "overlap": "skip",
        "catch_up_runs": "one", "catch_up_window_s": 3600.0, "jitter_s": 0.0, "since": NOW, "seen_until": NOW,
    }  # fmt: skip


if __name__ == "__main__":
    main()
