"""Inquest: what became of the hosts of an invocation whose runner died, by what they kept.

A host that may have been sent a script is asked before anything else is done to it, and what follows is
written down before it may forget. What certainly never started is queued again under the same token, so that
a first start that comes late meets the folder of the second.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from chargehand.evidence import Finding, conclude, inquiry, read_evidence, removal
from chargehand.frozen import frozen
from chargehand.past import Stored, StoredShare
from chargehand.recovery.errands import Errands
from chargehand.result import CapturedOutput, HostResult, Status
from chargehand.share import TemplateInvocation
from chargehand.store import Store
from chargehand.store.entry import Entry, Outcome, Settled

_REVISABLE = frozenset(("still-runs", "not-asked"))
"""Codes of what was learned from a host and may be another thing tomorrow."""

_RAN = frozenset((Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.CANCELLED))


@frozen
class Recovered:
    """What asking the hosts came to.

    Attributes:
        findings: By host: what its share came to, as it is in the store now.
        queued: Hosts that are to run their script, again or for the first time, in the order of the run.
        missing: Hosts that the inventory has no more; they are in `findings` too.
    """

    findings: Mapping[str, Finding]
    queued: tuple[str, ...]
    missing: tuple[str, ...]


def recover(
    stored: Stored, shares: Iterable[TemplateInvocation], store: Store, errands: Errands
) -> Recovered:
    """Learn from the hosts what became of an invocation whose runner died, and write that down.

    Args:
        stored: The invocation, as it was when it was claimed; that nobody else carries it out is seen to.
        shares: Its hosts as the inventory has them now, with the scripts that would run on them.
        store: Where it is written down.
        errands: Asks the hosts.
    """
    return _Recovery(stored, {share.host: share for share in shares}, store, errands).make()


def is_open(share: StoredShare) -> bool:
    """Whether the host has to be asked what became of its share."""
    if share.status != Status.UNKNOWN:
        return share.state in ("starting", "running")
    code = share.result.code if share.result else ""
    return not share.reconciled or code in _REVISABLE


def is_left(share: StoredShare) -> bool:
    """Whether the host may still keep what nobody needs any more."""
    known = share.status in _RAN or (share.status == Status.UNKNOWN and not is_open(share))
    return share.state == "stopped" and share.intended_at is not None and known and not share.settled


class _Recovery:
    """One invocation, asked for."""

    def __init__(
        self, stored: Stored, reach: Mapping[str, TemplateInvocation], store: Store, errands: Errands
    ) -> None:
        self._stored = stored
        self._reach = reach
        self._store = store
        self._errands = errands
        self._over = stored.record.state == "stopped"

    def make(self) -> Recovered:
        """Ask, write down, clean up."""
        asked = [share for share in self._stored.shares if is_open(share)]
        waiting = [share for share in self._stored.shares if share.state == "queued"]
        found = self._ask(asked)
        findings = {share.host_name: finding for share in asked if (finding := found[share.id])}
        gone = [share for share in waiting if share.host_name not in self._reach]
        findings |= {share.host_name: _without_host(share) for share in gone}
        again = [share for share in asked if self._may_run_again(findings.get(share.host_name))]
        self._write([share for share in (*asked, *gone) if share not in again], findings)
        never = [share for share in asked if share.host_name not in findings]
        self._clean_up(findings, again)
        self._store.invocations.requeue([share.id for share in never])
        self._store.invocations.requeue([share.id for share in again], forget_token=True)
        queued = {share.id for share in (*never, *again, *waiting)} - {share.id for share in gone}
        return Recovered(
            findings={
                host: finding
                for host, finding in findings.items()
                if host not in {s.host_name for s in again}
            },
            queued=tuple(share.host_name for share in self._stored.shares if share.id in queued),
            missing=tuple(s.host_name for s in self._stored.shares if s.host_name not in self._reach),
        )

    def _ask(self, asked: Sequence[StoredShare]) -> dict[int, Finding | None]:
        """What follows for each of these; None where the script never started and can start now."""
        questions = [
            (reach, inquiry(share.token, reach.settings.work_folders))
            for share in asked
            if share.token and (reach := self._reach.get(share.host_name))
        ]
        answers = self._errands.run(questions)
        return {share.id: self._conclude(share, answers.get(share.host_name)) for share in asked}

    def _conclude(self, share: StoredShare, answer: HostResult | None) -> Finding | None:
        if answer is None:
            reach = self._reach.get(share.host_name)
            trouble = (
                reach.trouble.reason if reach and reach.trouble else "the inventory has no such host any more"
            )
            return _not_asked(trouble)
        evidence = read_evidence(share.token or "", answer.stdout.head) if answer.ok else None
        if evidence is None or share.intended_at is None:
            return _not_asked(answer.reason or "it gave no answer")
        finding = conclude(
            evidence,
            intended_at=share.intended_at,
            now=self._errands.now(),
            started=_started_at(share) is not None or share.state == "running",
            cancelled=self._stored.cancel_requested or bool(share.cancel_requested),
        )
        if finding is None and self._over:
            reason = "the script was about to be sent when its runner died, and never started"
            return Finding(status=Status.NOT_STARTED, code="never-started", reason=reason)
        return finding

    def _may_run_again(self, finding: Finding | None) -> bool:
        """Whether a host cut off may start once more: the job says so, and nothing of it runs."""
        wanted = self._stored.idempotent and not self._over and not self._stored.cancel_requested
        return wanted and finding is not None and finding.status is Status.UNKNOWN and finding.over

    def _write(self, shares: Iterable[StoredShare], findings: Mapping[str, Finding]) -> None:
        entries: list[Entry] = []
        for share in shares:
            finding = findings.get(share.host_name)
            if finding and not (finding.code == "not-asked" and share.state == "stopped"):
                entries.append(
                    Outcome(
                        share_id=share.id,
                        token=share.token if share.state != "queued" else None,
                        result=self._result(share, finding),
                        reconciled=True,
                    )
                )
        self._store.invocations.record(entries)

    def _result(self, share: StoredShare, finding: Finding) -> HostResult:
        before = share.result
        outputs = self._outputs(share)
        return HostResult(
            host=share.host_name,
            host_id=share.host_id,
            status=finding.status,
            exit_status=finding.exit_status,
            signal=finding.signal,
            started_at=_started_at(share),
            code=finding.code,
            reason=finding.reason,
            stdout=outputs["stdout"],
            stderr=outputs["stderr"],
            noise=before.noise if before else "",
            pty=before.pty if before else False,
            attempts=max(1, before.attempts) if before else int(share.state != "queued"),
        )

    def _outputs(self, share: StoredShare) -> dict[str, CapturedOutput]:
        """How much of each stream is in the store; what was printed later is lost."""
        sizes = {"stdout": 0, "stderr": 0}
        sums = {stream: hashlib.sha256() for stream in sizes}
        for chunk in self._store.history.outputs(self._stored.record.id, share.host_name):
            sizes[chunk.stream] = chunk.offset_bytes + len(chunk.content)
            sums[chunk.stream].update(chunk.content)
        return {
            stream: CapturedOutput(size_bytes=size, sha256=sums[stream].hexdigest())
            for stream, size in sizes.items()
        }

    def _clean_up(self, findings: Mapping[str, Finding], again: Sequence[StoredShare]) -> None:
        """Let hosts forget what is known for good."""
        done = [share for share in self._stored.shares if self._is_done(share, findings.get(share.host_name))]
        errands = [
            (reach, removal(share.token, reach.settings.work_folders))
            for share in done
            if share.token and (reach := self._reach.get(share.host_name))
        ]
        results = self._errands.run(errands)
        gone = [share for share in done if (result := results.get(share.host_name)) and result.ok]
        self._store.invocations.record([Settled(share_id=share.id) for share in gone if share not in again])

    def _is_done(self, share: StoredShare, finding: Finding | None) -> bool:
        if finding:
            return finding.over and finding.code not in ("never-started", "no-host")
        return is_left(share)


def _started_at(share: StoredShare) -> datetime | None:
    return share.result.started_at if share.result else None


def _not_asked(why: str) -> Finding:
    reason = f"its runner died, and the host could not be asked how the script ended: {why}"
    return Finding(status=Status.UNKNOWN, code="not-asked", reason=reason, over=False)


def _without_host(share: StoredShare) -> Finding:
    reason = f"never started: the inventory has no host `{share.host_name}` any more"
    return Finding(status=Status.NOT_STARTED, code="no-host", reason=reason)
