"""Input values of a job, held against the inputs of its template."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from chargehand.errors import InvalidError, Place, Problem, did_you_mean
from chargehand.expression import expression
from chargehand.template.fields import RULE
from chargehand.template.job_template import TemplateInput

Value = TypeVar("Value")

_ID = expression(r"[0-9]+")


def check_values(
    inputs: Sequence[TemplateInput],
    values: Mapping[str, object],
    *,
    template_name: str,
    place_of: Callable[[str], Place | None] = lambda _: None,
    compile_search: Callable[[str], object] | None = None,
) -> list[Problem]:
    """Everything wrong with the values that a job gives.

    Args:
        inputs: Own and foreign inputs of the template.
        values: Text by input name; what is no text stands for a secret that is resolved later, and
            only its being there is checked.
        template_name: For messages.
        place_of: Where the value of an input stands; for an unknown name, where the values begin.
        compile_search: Raises an `InvalidError` for a query that is not understood.
    """
    declared = {each.name: each for each in inputs}
    problems = []
    for name, value in values.items():
        if name not in declared:
            message = f"unknown input `{name}` for template `{template_name}`"
            problems.append(Problem(message, place_of(name), did_you_mean(name, declared), RULE))
            continue
        found = _wrong_with(declared[name], value, compile_search)
        problems += [Problem(message, place_of(name), hint, RULE) for message, hint in found]
    return problems + [
        Problem(
            f"input `{each.name}` of template `{template_name}` is required", place_of(each.name), rule=RULE
        )
        for each in inputs
        if each.input_type == "user" and each.required and each.default is None and each.name not in values
    ]


def fill_values(inputs: Sequence[TemplateInput], values: Mapping[str, Value]) -> dict[str, Value | str]:
    """The values of a job with defaults filled in, in the order of the inputs."""
    filled: dict[str, Value | str] = {}
    for each in inputs:
        if each.name in values:
            filled[each.name] = values[each.name]
        elif each.input_type == "user" and each.default is not None:
            filled[each.name] = each.default
    return filled


def _wrong_with(
    declared: TemplateInput, value: object, compile_search: Callable[[str], object] | None
) -> Iterable[tuple[str, str | None]]:
    name = declared.name
    if declared.input_type != "user":
        source = declared.fact_name or declared.variable_name
        hint = "leave it out"
        yield (
            f"input `{name}` is the {declared.input_type} `{source}` of each host; a job cannot set it",
            hint,
        )
    elif value is None:
        yield f"input `{name}` must not be null", "leave it out, or write '' for an empty text"
    elif not isinstance(value, str):
        return
    elif not value:
        if declared.required:
            yield f"input `{name}` is required and must not be empty", None
    elif declared.options and value not in declared.options:
        shown = "the value" if declared.hidden_value else f"`{_cut(value)}`"
        yield f"{shown} is none of the options of input `{name}`", did_you_mean(value, declared.options)
    else:
        yield from _wrong_type(declared, value, compile_search)


def _wrong_type(
    declared: TemplateInput, value: str, compile_search: Callable[[str], object] | None
) -> Iterable[tuple[str, str | None]]:
    if declared.value_type == "date" and not _is_date(value):
        yield (
            f"input `{declared.name}` must be an ISO 8601 date or time",
            "such as 2027-01-31 or 2027-01-31T09:00",
        )
    if declared.value_type == "resource" and not (_ID.fullmatch(value) or value.strip()):
        yield f"input `{declared.name}` must be an id or a name", None
    if declared.value_type == "search" and compile_search is not None:
        try:
            compile_search(value)
        except InvalidError as error:
            for problem in error.problems:
                yield f"input `{declared.name}` is no search query: {problem.message}", problem.hint


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _cut(value: str) -> str:
    shown = "".join(char if char.isprintable() else "�" for char in value)
    return shown if len(shown) <= 60 else shown[:59] + "…"
