"""Findings: what is wrong with one job, collected while its sections are read."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from chargehand.errors import InvalidError, Place, Problem
from chargehand.inventory.address import user_fault
from chargehand.job import Job
from chargehand.moment import MomentError, parse_duration

T = TypeVar("T")

COMMAND_LINE = Place("<command line>")


class Findings:
    """The problems of one job, and the readers that add to them.

    Every reader gives None for a value that is absent or refused, so that the next section is read
    all the same. What the schema says of a shape is not said again.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = list(job.document.warnings)

    def add(self, message: str, *path: str | int, hint: str | None = None, rule: str = "job") -> None:
        """Note a problem with the value at `path`."""
        self.problems.append(self.job.problem(message, *path, hint=hint, rule=rule))

    def warn(self, message: str, *path: str | int, hint: str | None = None) -> None:
        """Note what is allowed at `path` and yet hardly meant."""
        self.warnings.append(replace(self.job.problem(message, *path, hint=hint), severity="warning"))

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

    def check_only_one(self, *paths: tuple[str, ...], why: str) -> None:
        """Refuse a job that gives none, or more than one, of the values at `paths`."""
        names = ", ".join(f"`{path[-1]}`" for path in paths)
        given = [path for path in paths if self.job.has(*path)]
        if not given:
            self.add(f"{why}: one of {names} is needed", "job_invocation")
        for extra in given[1:]:
            message = f"`{given[0][-1]}` and `{extra[-1]}` cannot both be given: {why}"
            self.add(message, *extra, hint=f"keep one of {names}")

    def id_or_name(self, *path: str | int) -> str | int | None:
        """What something is called: its number or its name."""
        number = self.job.number(*path)
        return self.job.text(*path) if number is None else number

    def user(self, *path: str | int) -> str | None:
        """A user name that no program on the way can take for an option or a command."""
        name = self.job.text(*path)
        return name if name is None else self.check_user(name, self.job.place(*path))

    def check_user(self, name: str, place: Place) -> str:
        """The name as it is; noted at `place` when a program could take it for something else."""
        fault = user_fault(name)
        if fault:
            self.problems.append(Problem(f"the user name {fault.message}", place, fault.hint, "job"))
        return name

    def duration(self, *path: str | int) -> float | None:
        """A duration in seconds."""
        number = self.job.value(*path)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return float(number) if number >= 0 else None
        text = self.job.text(*path)
        return self.attempt(lambda: parse_duration(text), *path) if text else None


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by file and line, as far as they have one."""

    def position(problem: Problem) -> tuple[str, int, int]:
        place = problem.place
        return (place.file, place.line or 0, place.column or 0) if place else ("", 0, 0)

    return tuple(sorted(dict.fromkeys(problems), key=position))
