"""Reading a job template: the YAML in its first comment becomes a `JobTemplate`; all problems at once."""

import re
from pathlib import PurePath

from chargehand.document import Document, parse
from chargehand.errors import Place, Problem, TemplateError
from chargehand.expression import expression
from chargehand.template.fields import RULE, Fields, Path
from chargehand.template.job_template import (
    EffectiveUser,
    ForeignInputSet,
    InputType,
    JobTemplate,
    TemplateInput,
    ValueType,
)

# A `#!` line may come first, so that editors know the language.
_METADATA = expression(r"\A(?P<first>#![^\n]*\n)?\s*\{#[-+]?(?P<yaml>.*?)[-+]?#\}(?:\r?\n)?", re.DOTALL)
_KEY = expression(r"\s*[a-z_]+:(\s|$)")
_USER_NAME = expression(r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*\$?")
_BRACES = expression(r"[{}]")

_TEMPLATE_KEYS = (
    "name",
    "id",
    "job_category",
    "provider_type",
    "description_format",
    "feature",
    "effective_user",
    "execution_timeout_interval",
    "template_inputs",
    "foreign_input_sets",
    "snippet",
    "description",
    "organizations",
    "locations",
    "kind",
    "model",
)
_INPUT_KEYS = (
    "name",
    "input_type",
    "value_type",
    "fact_name",
    "variable_name",
    "required",
    "advanced",
    "hidden_value",
    "options",
    "default",
    "resource_type",
    "description",
)
_INPUT_TYPES: tuple[InputType, ...] = ("user", "fact", "variable")
_VALUE_TYPES: tuple[ValueType, ...] = ("plain", "search", "date", "resource")


def read_template(text: str, file: str) -> JobTemplate:
    """Read a job template; a file called ``_x.j2`` without metadata is the snippet ``x``.

    Raises:
        TemplateError: Everything that is wrong with the metadata.
        DocumentError: The metadata is no YAML.
    """
    found = _METADATA.match(text)
    stem = PurePath(file).stem
    if stem.startswith("_") and not (found and _KEY.match(found["yaml"])):
        return JobTemplate(name=stem[1:], snippet=True, body=text, file=file)
    if found is None:
        hint = (
            "begin it with {# name: ..., job_category: ... #} in YAML, or call it _NAME.j2 if it is a snippet"
        )
        raise TemplateError(Problem("a job template begins with its metadata", Place(file, 1), hint, RULE))
    document = parse(_only(text, found.span("yaml")), file)
    if not isinstance(document.data, dict):
        raise TemplateError(Problem("the metadata must be a mapping", Place(file, 1), None, RULE))
    lines_above = text.count("\n", 0, found.end())
    if found["first"]:
        blank = "{#" + "\n" * (lines_above - 1) + "#}"
        return _read(document, found["first"] + blank + text[found.end() :], 1)
    return _read(document, text[found.end() :], lines_above + 1)


def inline_template(document: Document, path: Path, name: str) -> JobTemplate:
    """The template that a job holds in place, under ``script`` and ``template_inputs``.

    Args:
        document: The job file.
        path: Where in it the job begins.
        name: What to call the template, such as the job's name.

    Raises:
        TemplateError: Everything that is wrong with it.
    """
    fields = Fields(document, path, [])
    script = fields.text("script")
    if not script or not script.strip():
        fields.complain("`script` is empty", "script")
    inputs = _read_inputs(fields)
    place = fields.place("script")
    fields.finish()
    return JobTemplate(
        name=name,
        job_category="Inline",
        template_inputs=inputs,
        body=script or "",
        file=document.file,
        first_line=(place.line or 1) + _begins_below(place),
    )


def _only(text: str, span: tuple[int, int]) -> str:
    """`text` with all but `span` blanked, so that lines and columns stay what they are in the file."""
    start, end = span
    return re.sub(r"[^\n]", " ", text[:start]) + text[start:end].replace("\r\n", "\n")


def _begins_below(place: Place) -> bool:
    """Whether a scalar is a block (``|``, ``>``), whose text begins on the next line."""
    source = place.source or ""
    return source[(place.column or 1) - 1 :].startswith(("|", ">"))


def _read(document: Document, body: str, first_line: int) -> JobTemplate:
    fields = Fields(document, (), [])
    fields.only(_TEMPLATE_KEYS)
    fields.choice("kind", ("job_template",), "job_template")
    fields.choice("model", ("JobTemplate",), "JobTemplate")
    fields.choice("provider_type", ("script", "SSH", "ssh"), "script")
    snippet = fields.flag("snippet")
    template = JobTemplate(
        name=_required(fields, "name"),
        id=fields.number("id"),
        job_category=(fields.word("job_category") or "") if snippet else _required(fields, "job_category"),
        description_format=fields.text("description_format") or None,
        feature=fields.word("feature"),
        effective_user=_read_effective_user(fields),
        execution_timeout_interval=fields.number("execution_timeout_interval"),
        template_inputs=_read_inputs(fields),
        foreign_input_sets=tuple(_read_foreign_set(item) for item in fields.mappings("foreign_input_sets")),
        snippet=snippet,
        description=fields.text("description"),
        organizations=fields.words("organizations", ","),
        locations=fields.words("locations", ","),
        body=body,
        file=document.file,
        first_line=first_line,
    )
    if snippet and template.feature:
        fields.complain("a snippet cannot serve a feature", "feature")
    fields.finish()
    return template


def _required(fields: Fields, key: str) -> str:
    if not fields.has(key):
        fields.complain(f"`{key}` is missing")
    return fields.word(key) or ""


def _read_effective_user(fields: Fields) -> EffectiveUser:
    own = fields.mapping("effective_user")
    if own is None:
        return EffectiveUser()
    own.only(("value", "overridable", "current_user"))
    value = own.text("value") or None
    if value and not _USER_NAME.fullmatch(value):
        own.complain(f"`{value}` is no user name", "value")
    current = own.flag("current_user")
    if value and current:
        own.complain("`value` and `current_user` exclude each other", "current_user")
    return EffectiveUser(value=value, overridable=own.flag("overridable", default=True), current_user=current)


def _read_inputs(fields: Fields) -> tuple[TemplateInput, ...]:
    inputs: dict[str, TemplateInput] = {}
    for own in fields.mappings("template_inputs"):
        found = _read_input(own)
        if found.name in inputs:
            own.complain(f"input `{found.name}` is declared twice", "name")
        inputs[found.name] = found
    return tuple(inputs.values())


def _read_input(fields: Fields) -> TemplateInput:
    fields.only(_INPUT_KEYS)
    name = _required(fields, "name")
    if _BRACES.search(name):
        fields.complain("the name of an input must be without braces", "name")
    input_type: InputType = fields.choice("input_type", _INPUT_TYPES, "user")  # type: ignore[assignment]  # one of _INPUT_TYPES
    value_type: ValueType = fields.choice("value_type", _VALUE_TYPES, "plain")  # type: ignore[assignment]  # one of _VALUE_TYPES
    found = TemplateInput(
        name=name,
        input_type=input_type,
        value_type=value_type,
        fact_name=fields.word("fact_name"),
        variable_name=fields.word("variable_name"),
        required=fields.flag("required"),
        advanced=fields.flag("advanced"),
        hidden_value=fields.flag("hidden_value"),
        options=fields.words("options", "\n"),
        default=fields.text("default"),
        resource_type=fields.word("resource_type"),
        description=fields.text("description"),
        place=fields.place("name"),
    )
    _check_source(fields, found)
    _check_values(fields, found)
    return found


def _check_source(fields: Fields, declared: TemplateInput) -> None:
    """A fact has a fact_name, a variable a variable_name, and nobody another's."""
    for input_type in ("fact", "variable"):
        key = f"{input_type}_name"
        if declared.input_type == input_type and not fields.has(key):
            fields.complain(f"an input of type {input_type} needs `{key}`", "name")
        if declared.input_type != input_type and fields.has(key):
            hint = f"add `input_type: {input_type}`"
            fields.complain(f"only an input of type {input_type} has `{key}`", key, hint=hint)
    if declared.input_type != "user" and declared.options:
        fields.complain("`options` are for inputs that users give", "options")
    if declared.resource_type and declared.value_type != "resource":
        hint = "add `value_type: resource`"
        fields.complain(
            "only an input of value type resource has `resource_type`", "resource_type", hint=hint
        )


def _check_values(fields: Fields, declared: TemplateInput) -> None:
    doubled = {option for option in declared.options if declared.options.count(option) > 1}
    for option in sorted(doubled):
        fields.complain(f"option `{option}` is listed twice", "options")
    if declared.default and declared.options and declared.default not in declared.options:
        shown = ", ".join(declared.options)
        fields.complain(f"the default `{declared.default}` is none of the options: {shown}", "default")
    if declared.default and declared.hidden_value:
        hint = "leave the default out; a job gives the value as a secret reference"
        fields.complain("a hidden input must not have its value in the template", "default", hint=hint)


def _read_foreign_set(fields: Fields) -> ForeignInputSet:
    fields.only(("template", "include", "exclude", "include_all"))
    include = fields.words("include", ",") or None
    include_all = fields.flag("include_all", default=include is None)
    if include and include_all:
        fields.complain("`include` and `include_all: true` exclude each other", "include_all")
    if not include and not include_all:
        fields.complain("`include` names nothing and `include_all` is false")
    return ForeignInputSet(
        template=_required(fields, "template"),
        include=include,
        exclude=fields.words("exclude", ","),
        place=fields.place("template") if fields.has("template") else fields.place(),
    )
