"""Work that is done in a strand, as the runner does it when one thread serves all hosts."""

from collections.abc import Callable
from contextlib import closing

from chargehand.strand import Hub


def in_strand(work: Callable[[], object]) -> None:
    """Do work in a strand of a hub of its own; what it raises is raised here."""
    raised: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    with closing(Hub()) as hub:
        hub.spawn(do)
        hub.run()
    for error in raised:
        raise error
