"""``chargehand diff``: what differs between two invocations."""

from chargehand.cli import screen
from chargehand.cli.remembered import remembered
from chargehand.cli.requests.history import DiffRequest
from chargehand.errors import UsageError, did_you_mean
from chargehand.report import difference
from chargehand.report.invocation import InvocationRecord

CHANGED = 10


def diff(request: DiffRequest) -> int:
    """Compare two invocations."""
    with remembered() as past:
        before, after = (
            past.history.find(past.find_id(word)).record for word in (request.before, request.after)
        )
    if request.host is not None:
        _check_host(request.host, before, after)
    found = difference.compare(before, after, host=request.host)
    if request.output == "json":
        screen.say_json(difference.document(found))
    else:
        screen.say(difference.text(found, whole=request.host is not None).removesuffix("\n"))
    return CHANGED if found and request.detailed_exitcode else 0


def _check_host(host: str, before: InvocationRecord, after: InvocationRecord) -> None:
    known = {name for record in (before, after) for name, _ in record.targeting.hosts or ()}
    if host not in known:
        hint = did_you_mean(host, known)
        raise UsageError(
            f"neither {before.id} nor {after.id} has a host `{host}`" + (f"; {hint}" if hint else "")
        )
