"""Findings: what is wrong with one job, collected while its sections are read."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from chargehand.errors import InvalidError, Problem
from chargehand.inventory.address import user_fault
from chargehand.job import Job
from chargehand.moment import MomentError, parse_duration

T = TypeVar("T")


class Findings:
    """The problems of one job, and the readers that add to them.

    Every reader gives None for a value that is absent or refused, so that the next section is read
    all the same.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, message: str, *path: str | int, hint: str | None = None, rule: str = "job") -> None:
        """Note a problem with the value at `path`."""
        self.problems.append(self.job.problem(message, *path, hint=hint, rule=rule))

    def attempt(self, call: Callable[[], T], *path: str | int) -> T | None:
        """What `call` gives, or None and its problems noted at `path`."""
        try:
            return call()
        except InvalidError as error:
            place = self.job.place(*path)
            self.problems += [replace(each, place=each.place or place) for each in error.problems]
        except MomentError as error:
            self.add(str(error), *path, rule="time")
        return None

    def only_one(self, *keys: str, why: str) -> str | None:
        """The one of `keys` that the job invocation gives, when it gives exactly one."""
        given = [key for key in keys if self.job.has("job_invocation", key)]
        names = ", ".join(f"`{key}`" for key in keys)
        if not given:
            self.add(f"{why}: one of {names} is needed", "job_invocation")
            return None
        for extra in given[1:]:
            message = f"`{given[0]}` and `{extra}` cannot both be given: {why}"
            self.add(message, "job_invocation", extra, hint=f"keep one of {names}")
        return given[0] if len(given) == 1 else None

    def user(self, *path: str | int) -> str | None:
        """A user name that no program on the way can take for an option or a command."""
        name = self.job.text(*path)
        fault = user_fault(name) if name is not None else None
        if fault:
            self.add(f"the user name {fault.message}", *path, hint=fault.hint)
        return name

    def duration(self, *path: str | int) -> float | None:
        """A duration in seconds."""
        value = self.job.value(*path)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return self.attempt(lambda: parse_duration(value), *path)
        return None
