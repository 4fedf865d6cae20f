"""Beside: work that a strand or a thread has done beside it, where strands are not kept waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from chargehand.strand import Signal, hub_here

T = TypeVar("T")


def begin(work: Callable[[], object], name: str) -> None:
    """Do `work`, which serves others, beside the caller: in a strand if the caller is one, else a thread."""
    if hub := hub_here():
        hub.spawn(work, serves=True)
    else:
        threading.Thread(target=work, name=name, daemon=True).start()


class NoThreadError(RuntimeError):
    """The system starts no more threads, so that the work was not begun."""


def elsewhere(work: Callable[[], T]) -> T:
    """Do work that waits in its own way, such as for a program, where that keeps no other strand waiting.

    Raises:
        NoThreadError: There is no such place; or what the work raises.
    """
    if hub_here() is None:
        return work()
    done: Future[T] = Future()
    over = Signal()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            done.set_exception(error)
        over.set()

    try:
        threading.Thread(target=do, name="chargehand-elsewhere", daemon=True).start()
    except RuntimeError as error:
        raise NoThreadError(str(error)) from error
    over.wait()
    return done.result()
