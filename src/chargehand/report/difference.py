"""Difference: what is not the same in two job invocations."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from chargehand.frozen import frozen
from chargehand.hostset import fold
from chargehand.provenance import Provenance
from chargehand.report.escape import escape, escape_line
from chargehand.report.invocation import HIDDEN, InvocationRecord, Json
from chargehand.result import HostResult, Status

HOSTS_SHOWN: Final = 3
LINES_SHOWN: Final = 100
MAX_COMPARED_BYTES: Final = 2 << 20
"""A longer output is told to differ and not compared line by line."""

_SETTINGS: Final = (
    "description", "job_category", "template_name", "ssh_user", "effective_user", "concurrency_level",
    "execution_timeout_interval", "time_to_pickup",
)  # fmt: skip
_ORIGINS: Final = ("playbook", "job_name", "commit", "dirty", "signer", "user", "trigger")


@frozen
class Change:
    """One fact that differs; None where there is none."""

    name: str
    before: object
    after: object


@frozen
class OutputChange:
    """One host that printed something else.

    Attributes:
        lines: Of a unified diff of its stdout; empty when only sizes and sums are known to differ.
    """

    host: str
    lines: tuple[str, ...]


@frozen
class Difference:
    """What differs between two invocations.

    Attributes:
        before: Id of the first.
        after: Id of the other.
        facts: What ran, where from and how.
        only_before: Hosts that only the first had.
        only_after: Hosts that only the other had.
        outcomes: Hosts by how they ended then and now, where that differs.
        outputs: Hosts whose output differs, in the order of the second.
    """

    before: int
    after: int
    facts: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    outcomes: Mapping[tuple[str, str], tuple[str, ...]]
    outputs: tuple[OutputChange, ...]

    def __bool__(self) -> bool:
        return bool(self.facts or self.only_before or self.only_after or self.outcomes or self.outputs)


def compare(before: InvocationRecord, after: InvocationRecord, *, host: str | None = None) -> Difference:
    """What differs between two invocations, their results and outputs included.

    Args:
        before: The first.
        after: The other.
        host: Of hosts, look at this one alone.
    """
    was = {result.host: result for result in before.results}
    now = {result.host: result for result in after.results}
    names_before = [name for name, _ in before.targeting.hosts or () if host in (None, name)]
    names_after = [name for name, _ in after.targeting.hosts or () if host in (None, name)]
    those_before, those_after = set(names_before), set(names_after)
    both = [name for name in names_after if name in those_before]
    outcomes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in both:
        change = _ended(was.get(name)), _ended(now.get(name))
        if change[0] != change[1]:
            outcomes[change].append(name)
    return Difference(
        before=before.id,
        after=after.id,
        facts=tuple(_facts(before, after)),
        only_before=tuple(name for name in names_before if name not in those_after),
        only_after=tuple(name for name in names_after if name not in those_before),
        outcomes={change: tuple(names) for change, names in outcomes.items()},
        outputs=tuple(
            _output_change(was[name], now[name])
            for name in both
            if name in was and name in now and _sums(was[name]) != _sums(now[name])
        ),
    )


def document(difference: Difference) -> Json:
    """A difference as plain data."""
    return {
        "before": difference.before,
        "after": difference.after,
        "equal": not difference,
        "facts": [
            {"name": each.name, "before": each.before, "after": each.after} for each in difference.facts
        ],
        "hosts_only_before": list(difference.only_before),
        "hosts_only_after": list(difference.only_after),
        "outcomes": [
            {"before": was, "after": now, "hosts": list(hosts)}
            for (was, now), hosts in difference.outcomes.items()
        ],
        "outputs": [{"host": each.host, "diff": list(each.lines)} for each in difference.outputs],
    }


def text(difference: Difference, *, whole: bool = False) -> str:
    """A difference for people.

    Args:
        difference: What differs.
        whole: Whether outputs are told to their end, and of all hosts.
    """
    if not difference:
        return f"{difference.before} and {difference.after} are equal\n"
    parts = [
        "".join(f"{each.name}: {_shown(each.before)} -> {_shown(each.after)}\n" for each in difference.facts),
        _hosts(f"only in {difference.before}", difference.only_before)
        + _hosts(f"only in {difference.after}", difference.only_after)
        + "".join(
            _hosts(f"{was} -> {now}".replace("_", " "), hosts)
            for (was, now), hosts in difference.outcomes.items()
        ),
        "\n".join(_outputs(difference, whole=whole)),
    ]
    return "\n".join(part for part in parts if part)


def unified(before: str, after: str, *, names: tuple[str, str]) -> tuple[str, ...]:
    """The lines of a unified diff, without their ends."""
    was, now = before.splitlines(), after.splitlines()
    return tuple(difflib.unified_diff(was, now, *names, lineterm=""))


def _facts(before: InvocationRecord, after: InvocationRecord) -> Iterator[Change]:
    pairs: list[tuple[str, object, object]] = [
        (name, getattr(before, name), getattr(after, name)) for name in _SETTINGS
    ]
    pairs += [
        (name, getattr(before.targeting, name), getattr(after.targeting, name))
        for name in ("search_query", "targeting_type")
    ]
    pairs += [(name, _origin(before, name), _origin(after, name)) for name in _ORIGINS]
    was, now = _inputs(before), _inputs(after)
    pairs += [(f"input {name}", was.get(name), now.get(name)) for name in dict.fromkeys([*was, *now])]
    return (Change(name=name, before=old, after=new) for name, old, new in pairs if old != new)


def _origin(record: InvocationRecord, name: str) -> object:
    by: Provenance | None = record.provenance
    return None if by is None else getattr(by, name) or None


def _inputs(record: InvocationRecord) -> dict[str, str | None]:
    return {each.name: HIDDEN if each.hidden else each.value for each in record.inputs}


def _ended(result: HostResult | None) -> str:
    status = str(Status.PENDING if result is None else result.status)
    return f"{status} {result.exit_status}" if result and result.exit_status else status


def _sums(result: HostResult) -> tuple[object, ...]:
    return tuple((each.size_bytes, each.sha256) for each in (result.stdout, result.stderr) if each.size_bytes)


def _output_change(was: HostResult, now: HostResult) -> OutputChange:
    if was.stdout.size_bytes + now.stdout.size_bytes > MAX_COMPARED_BYTES:
        return OutputChange(host=now.host, lines=())
    return OutputChange(
        host=now.host,
        lines=(
            *unified(was.stdout.text(), now.stdout.text(), names=("stdout", "stdout")),
            *unified(was.stderr.text(), now.stderr.text(), names=("stderr", "stderr")),
        ),
    )


def _hosts(head: str, hosts: Iterable[str]) -> str:
    named = escape_line(fold(hosts))
    return f"{head}: {named}\n" if named else ""


def _shown(value: object) -> str:
    return "-" if value is None else escape_line(str(value))


def _outputs(difference: Difference, *, whole: bool) -> Iterator[str]:
    """Equal diffs once, under the names of their hosts."""
    together: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in difference.outputs:
        together[each.lines].append(each.host)
    for place, (lines, hosts) in enumerate(together.items()):
        head = f"output of {escape_line(fold(hosts))}"
        if place >= HOSTS_SHOWN and not whole:
            rest = sum(len(others) for others in list(together.values())[place:])
            yield f"output of {rest} more: `--host HOST` tells of one\n"
            return
        if not lines:
            yield f"{head} differs and is too long to be compared line by line here\n"
            continue
        shown = lines if whole or len(lines) <= LINES_SHOWN else lines[:LINES_SHOWN]
        cut = len(lines) - len(shown)
        told = "".join(f"  {escape(line)}\n" for line in shown)
        yield f"{head}\n{told}" + (f"  [... {cut} lines left out: `--host {hosts[0]}` ...]\n" if cut else "")
