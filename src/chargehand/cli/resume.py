"""``chargehand resume``."""

from contextlib import closing
from datetime import UTC
from functools import partial

from chargehand.cli import screen
from chargehand.cli.opening import open_project
from chargehand.cli.overrides import ask, ask_access, override
from chargehand.cli.remembered import Remembered
from chargehand.cli.requests.again import ResumeRequest
from chargehand.cli.telling import Telling, rerun_of
from chargehand.recovery import is_over
from chargehand.rerun import Wish, parts_of


def resume(request: ResumeRequest) -> int:
    """Finish an invocation whose runner died, or ask again about hosts whose end is unknown."""
    with closing(open_project(request)) as project:
        number = Remembered(history=project.store.history, source=project.store.source, zone=UTC).find_id(
            request.id
        )
        stored = project.store.history.find(number, with_output=False)
        if is_over(stored):
            screen.note(f"invocation {number} is over: nothing is left to do, and nobody to be asked")
        wish = Wish(
            recorded=request.recorded,
            overrides=override(request.inputs),
            access=ask_access(
                ssh=request.ask_pass,
                become=request.ask_become_pass,
                private_key=request.private_key,
                effective_user=None,
            ),
        )
        telling = Telling(request, None)
        code = telling.follow(
            number,
            project.now,
            partial(
                project.resume,
                number,
                wish,
                changed=request.changed,
                prompt=ask,
                on_prepared=telling.mask,
            ),
            lambda ended: rerun_of(
                number, parts_of({each.status for each in ended.result.results}), stored.launch
            ),
        )
        return telling.close(code)
