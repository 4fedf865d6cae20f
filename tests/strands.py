"""Work that is done in a strand, as the runner does it when one thread serves all hosts."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from typing import TypeVar

from chargehand.beside import begin
from chargehand.strand import Hub, Signal

_T = TypeVar("_T")
_R = TypeVar("_R")


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


def at_once(work: Callable[[_T], _R], each: Iterable[_T]) -> list[_R]:
    """What comes of work for each, all at once: in strands of the caller's hub, or else in threads."""

    def do(one: _T, result: "Future[_R]") -> None:
        try:
            result.set_result(work(one))
        except BaseException as error:  # noqa: BLE001 - raised below
            result.set_exception(error)

    results: list[Future[_R]] = []
    for one in each:
        results.append(Future())
        begin(partial(do, one, results[-1]), "at once")
    for result in results:
        over = Signal()
        result.add_done_callback(lambda _, over=over: over.set())
        assert over.wait(180.0), "not all have come to their end"
    return [result.result() for result in results]
