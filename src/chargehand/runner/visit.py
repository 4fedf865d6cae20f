"""Visit: one turn at one host, from reaching it to its result."""

import logging
import secrets

from chargehand.provider import Ending, NotStarted, Provider, Session, Stop, Unreachable
from chargehand.result import HostResult, Status
from chargehand.runner.line import Turn
from chargehand.runner.outcome import (
    ALREADY_THERE,
    CANCELLED,
    DEADLINE,
    Outcome,
    abandoned,
    internal,
    keeps_from_starting,
    never_started,
    outcome_of,
)
from chargehand.runner.watch import Watch
from chargehand.script import RenderedScript
from chargehand.share import TemplateInvocation

log = logging.getLogger(__name__)


class Visit:
    """One turn at one host, under way.

    Attributes:
        stop: The host's stop button.
        held: Why the script is not to be started any more, if it was not yet; empty when it may.
    """

    def __init__(self, turn: Turn, script: RenderedScript, watch: Watch) -> None:
        self.stop = Stop()
        self.held = ""
        self._turn = turn
        self._script = script
        self._watch = watch
        self._session: Session | None = None
        self._settled = False

    def make(self, provider: Provider) -> HostResult:
        """Reach the host and run its script; whatever goes wrong is in the result.

        Raises:
            Unreachable: No session, but another try can help.
        """
        try:
            result = self._make(provider)
        except Unreachable as trouble:
            self._watch.finish()
            raise Unreachable(trouble.code, self._watch.masked(trouble.reason), again=True) from trouble
        except BaseException as error:  # noqa: BLE001 - logged; no one above hears it
            result = self._result(defect(self._turn.share.host, error))
        self._settled = result.status is not Status.UNKNOWN
        return result

    def abandon(self, why: str) -> HostResult:
        """The result when nobody waits for the host any longer."""
        return self._result(abandoned(why, reached=self._session is not None))

    def part(self) -> None:
        """Let the host clean up, unless what lies there may still be asked for; end the session."""
        if self._session is None:
            return
        if self._settled:
            self._session.settle()
        self._session.close()

    def _make(self, provider: Provider) -> HostResult:
        try:
            self._session = provider.open(self._turn.share.settings, self.stop, self._script)
            if self._stopped() or self.held:
                return self._result(never_started(self.stop.reason or self.held))
            return self._ended(self._session.run(self._script, self._watch, self.stop))
        except Unreachable as trouble:
            if self._stopped():
                return self._result(never_started(self.stop.reason, trouble.reason))
            if trouble.again:
                raise
            return self._result(Outcome(Status.UNREACHABLE, trouble.code, trouble.reason))
        except NotStarted as trouble:
            if self._stopped():
                return self._result(never_started(self.stop.reason, trouble.reason), noise=trouble.noise)
            if keeps_from_starting(trouble.code):
                return self._result(never_started(trouble.code))
            if trouble.code == ALREADY_THERE:
                unknown = Outcome(Status.UNKNOWN, trouble.code, f"not started again: {trouble.reason}")
                return self._result(unknown, noise=trouble.noise)
            outcome = Outcome(Status.NOT_STARTED, trouble.code, trouble.reason)
            return self._result(outcome, noise=trouble.noise)

    def _stopped(self) -> bool:
        return self.stop.reason in (CANCELLED, DEADLINE)

    def _ended(self, ending: Ending) -> HostResult:
        return self._result(outcome_of(ending), ending, noise=ending.noise)

    def _result(self, outcome: Outcome, ending: Ending | None = None, noise: str = "") -> HostResult:
        output = self._watch.finish()
        return HostResult(
            host=self._turn.share.host,
            host_id=self._turn.share.host_id,
            status=outcome.status,
            exit_status=ending.exit_status if ending else None,
            signal=ending.signal if ending else None,
            started_at=self._watch.started_at,
            duration_s=ending.duration_s if ending else None,
            code=outcome.code,
            reason=self._watch.masked(outcome.reason),
            stdout=output["stdout"],
            stderr=output["stderr"],
            noise=self._watch.masked(noise),
            pty=ending.pty if ending else False,
            attempts=self._turn.attempt,
        )


def unreachable(
    share: TemplateInvocation, trouble: Unreachable, attempts: int, remark: str = ""
) -> HostResult:
    """The result of a host that could not be reached in so many attempts."""
    return HostResult(
        host=share.host,
        host_id=share.host_id,
        status=Status.UNREACHABLE,
        code=trouble.code,
        reason=f"{trouble.reason} ({remark})" if remark else trouble.reason,
        attempts=attempts,
    )


def untouched(share: TemplateInvocation, outcome: Outcome) -> HostResult:
    """The result of a host nobody connected to."""
    return HostResult(
        host=share.host,
        host_id=share.host_id,
        status=outcome.status,
        code=outcome.code,
        reason=outcome.reason,
        attempts=0,
    )


def defect(host: str, error: BaseException) -> Outcome:
    """What it means for a host that we failed ourselves; the log has an entry about it."""
    entry = secrets.token_hex(4)
    log.error("[%s] while running on %s", entry, host, exc_info=error)
    return internal(error, entry)
