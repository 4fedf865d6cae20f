"""``chargehand plan`` and ``chargehand render``."""

from chargehand.cli import screen
from chargehand.cli.command import find
from chargehand.cli.planned import make_plans, share_document, show_plans
from chargehand.cli.planning import open_planner
from chargehand.cli.requests.checking import PlanRequest, RenderRequest
from chargehand.errors import UsageError
from chargehand.inventory import Programs
from chargehand.planner import Planner
from chargehand.share import TemplateInvocation


def plan(request: PlanRequest) -> int:
    """Show what the jobs of some files would do, or what a change of them would do."""
    if request.before is not None or request.after is not None:
        changed: int = find("changes:show_change")(request)
        return changed
    if not request.files:
        raise UsageError("name a job file, or revisions by --from and --to")
    if request.output == "markdown" or request.branch is not None or request.detailed_exitcode:
        raise UsageError("-o markdown, --branch and --detailed-exitcode need --from or --to")
    project = _project(request)
    plans = make_plans(project, request.files, request)
    show_plans(project, plans, request.output)
    return 0


def render(request: RenderRequest) -> int:
    """Print the script of one host, or as JSON those of all."""
    project = _project(request)
    plans = make_plans(project, (request.file,), request)
    shares = [share for each in plans for share in each.template_invocations]
    if request.output == "json":
        screen.say_json([share_document(share) for share in shares])
    elif len(shares) != 1:
        raise UsageError(
            f"{screen.count(len(shares), 'script')}: choose one host with -l, or -o json for all"
        )
    elif shares[0].script is not None:
        screen.say_bytes(shares[0].script.content)
    return _tell_troubles(shares)


def _project(request: PlanRequest | RenderRequest) -> Planner:
    programs: Programs = "run" if request.run_programs else "refuse"
    return open_planner(request, programs)


def _tell_troubles(shares: list[TemplateInvocation]) -> int:
    """Say which hosts have no script; the exit code."""
    troubled = [share for share in shares if share.trouble is not None]
    for share in troubled:
        screen.note(f"{share.host}: {share.trouble.reason if share.trouble else ''}")
    return 3 if troubled else 0
