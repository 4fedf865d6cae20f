"""Which values the inputs of the template have, and which of them are secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from chargehand.compose.catalogue import Overrides
from chargehand.compose.findings import COMMAND_LINE, Findings
from chargehand.document import Vaulted
from chargehand.errors import Place
from chargehand.reference import SecretReference, read_reference
from chargehand.search import compile_query
from chargehand.template import JobTemplate, TemplateInput, check_values, fill_values

INPUTS = ("job_invocation", "inputs")
_REFUSED: Final = object()
"""Stands for a value that is there and was refused already."""


class InputValues(NamedTuple):
    """The values of inputs by name, defaults filled in: plain ones, and those that must not be seen."""

    plain: Mapping[str, str]
    hidden: Mapping[str, SecretReference]


def compose_inputs(
    findings: Findings,
    template: JobTemplate | None,
    declared: Sequence[TemplateInput],
    overrides: Overrides,
    now: datetime,
    *,
    plain_secrets: bool,
) -> InputValues:
    """The values of a job, those of the command line over them, held against the template's inputs.

    Args:
        findings: Gets what is wrong with them.
        template: None when the job has no valid one; its values can then be held against nothing.
        declared: Own and foreign inputs of the template.
        overrides: Values that win; the text of a hidden input may stand on the command line.
        now: For dates in search queries.
        plain_secrets: Whether the value of a hidden input may stand in the file.
    """
    if template is None:
        return InputValues({}, {})
    hidden = {each.name for each in declared if each.hidden_value}
    given = findings.job.mapping(*INPUTS)
    values: dict[str, object] = {
        name: _secret(findings, name, plain_secrets) if name in hidden else _plain(findings, name)
        for name in given
        if name not in overrides.inputs
    }
    values |= overrides.inputs

    def place_of(name: str) -> Place:
        if name in overrides.inputs:
            return COMMAND_LINE
        return findings.job.place(*INPUTS, name, key=True) if name in given else findings.job.place(*INPUTS)

    findings.problems += check_values(
        declared,
        {name: _held(value) for name, value in values.items()},
        template_name=template.name,
        place_of=place_of,
        compile_search=lambda query: compile_query(query, now=now),
    )
    filled = fill_values(declared, values)
    return InputValues(
        plain={name: text for name, text in filled.items() if isinstance(text, str) and name not in hidden},
        hidden={
            name: value if isinstance(value, SecretReference) else read_reference(value, plain_allowed=True)
            for name, value in filled.items()
            if name in hidden and isinstance(value, SecretReference | str)
        },
    )


def read_secret(findings: Findings, *path: str | int, plain_secrets: bool) -> SecretReference | None:
    """The secret reference at `path`; nothing when there is none, or none that is allowed."""
    value, place = findings.job.value(*path), findings.job.place(*path)
    if not isinstance(value, str | Mapping | Vaulted):
        return None
    question = f"{path[-1]}: "
    return findings.attempt(
        lambda: read_reference(value, place, plain_allowed=plain_secrets, question=question), *path
    )


def _secret(findings: Findings, name: str, plain_secrets: bool) -> object:
    """The reference of a hidden input; null is for `check_values` to refuse."""
    if not findings.job.has(*INPUTS, name):
        return None
    return read_secret(findings, *INPUTS, name, plain_secrets=plain_secrets) or _REFUSED


def _plain(findings: Findings, name: str) -> object:
    """The value of a plain input as it was written."""
    value = findings.job.value(*INPUTS, name)
    if isinstance(value, str | int | float):
        return findings.job.written(*INPUTS, name)
    if isinstance(value, Mapping | Vaulted):
        message = f"input `{name}` takes a plain value; only a hidden input takes a secret reference"
        findings.add(message, *INPUTS, name, hint="`hidden_value: true` in its template hides it")
    return value


def _held(value: object) -> object:
    """The text of a secret that was written out, for its check; what is refused is never repeated."""
    if isinstance(value, SecretReference) and value.kind == "plain" and value.held:
        return value.held.reveal()
    return value
