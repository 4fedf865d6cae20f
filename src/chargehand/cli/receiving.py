"""Receiving: webhooks that `serve` hears while it serves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chargehand.cli import screen
from chargehand.errors import UsageError
from chargehand.project import Project
from chargehand.settings import read_listen
from chargehand.webhook import Hint, Receiver, Rules, listen, read_rules


def rules_of(project: Project) -> Rules:
    """What a project's settings accept.

    Raises:
        InvalidError: They name no secret, or one that cannot be had.
    """
    return read_rules(project.settings, project.look_up)


@contextmanager
def receiving(
    project: Project, asked: str | None, *, nudge: Callable[[Hint], None], is_alive: Callable[[], bool]
) -> Iterator[Receiver | None]:
    """Hear webhooks to the end of the block, if that is asked for.

    Args:
        project: Its settings say where, and what is accepted.
        asked: In place of where the settings say.
        nudge: Given every hint; returns at once.
        is_alive: Whether whoever works on hints is at it.

    Raises:
        UsageError: The address is none, or cannot be listened on.
        InvalidError: The settings name no secret, or one that cannot be had.
    """
    where = asked or project.settings.webhook.listen
    if where is None:
        yield None
        return
    address = read_listen(where)
    if address is None:
        raise UsageError(f"--listen {where}: expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    receiver = Receiver(rules_of(project), nudge=nudge, tell=screen.note, clock=project.now)
    path = project.settings.webhook.path
    with listen(receiver, address, path=path, is_alive=is_alive, tell=screen.note) as url:
        screen.note(f"hearing webhooks at {url}")
        yield receiver
