"""How a job invocation is described: the description format with its placeholders filled."""

from collections.abc import Mapping, Sequence

from chargehand.expression import expression
from chargehand.secret import MASKED
from chargehand.template.job_template import JobTemplate, TemplateInput

_PLACEHOLDER = expression(r"%\{([^}]+)\}")
_ABSENT = "''"
_MAX_LENGTH = 255


def describe(
    template: JobTemplate,
    inputs: Sequence[TemplateInput],
    values: Mapping[str, object],
    description_format: str | None = None,
) -> str:
    """The description of a job invocation, at most 255 characters.

    ``%{template_name}``, ``%{job_category}`` and ``%{input name}`` are replaced, once: what comes in is
    not looked through again. A name without a value gives two single quotes, a hidden one ``***``.

    Args:
        template: What runs.
        inputs: Its own and foreign inputs.
        values: Input values, defaults filled in; what is no text is a secret.
        description_format: The job's; None takes the template's, else one that shows every input.
    """
    if description_format is None:
        description_format = template.description_format or generated_format(inputs)
    known = {"template_name": template.name, "job_category": template.job_category}
    for each in inputs:
        if each.name in values:
            value = values[each.name]
            known[each.name] = value if isinstance(value, str) and not each.hidden_value else MASKED
    text = _PLACEHOLDER.sub(lambda found: known.get(found[1], _ABSENT), description_format)
    return text[:_MAX_LENGTH]


def generated_format(inputs: Sequence[TemplateInput]) -> str:
    """The format of a template that has none: ``%{template_name} with inputs a="%{a}" b="%{b}"``."""
    shown = " ".join(f'{each.name}="%{{{each.name}}}"' for each in inputs)
    return "%{template_name}" + (f" with inputs {shown}" if shown else "")
