"""Parameters: ``schemas/params.yml``, and the two files that are made from it.

Every parameter of a job file is documented there once; the JSON Schema for validation and editors and
the reference page for people cannot disagree, since both are built from it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from chargehand.document import Document, load
from chargehand.errors import Place, Problem, SchemaError
from chargehand.frozen import frozen

PARAMS = Path("schemas", "params.yml")
SCHEMA = Path("schemas", "job.schema.json")
PAGE = Path("docs", "parameters.md")
_REBUILD = "chargehand schema build"
_WORDS = {"mapping": "a mapping", "list": "a list of mappings"}
_PAGE_HEAD = f"""\
<!-- Made from {PARAMS} by `{_REBUILD}`; change it there. -->
# Parameters of a job file

A job file holds one job, or a list of jobs that run in order. It is YAML 1.2, so `yes`, `0644` and `22:30`
are text, or JSON. `job_invocation` holds the parameters of Foreman's API; everything beside it is
Chargehand's own, `location_id` and `organization_id` excepted. A key that is not listed here is an error.

"""


@frozen
class Parameter:
    """What is documented of one parameter.

    Attributes:
        path: Its keys from the top of the job file, its own name last.
        type: A name of `Parameters.types`, or ``mapping`` or ``list``.
        required: Whether a job cannot do without it.
        nullable: Whether it may be null.
        description: What it does, for people.
        validation: What the API's page says of its value; None for a key of Chargehand's own.
        unless: The parameter beside it that makes it unnecessary.
        default: The value that holds when it is left out; None when there is no fixed one.
        otherwise: The same in words.
        example: A value, if it needs one to be understood.
        parameters: Those inside it.
    """

    path: tuple[str, ...]
    type: str
    required: bool
    nullable: bool
    description: str
    validation: str | None = None
    unless: str | None = None
    default: object = None
    otherwise: str | None = None
    example: object = None
    parameters: tuple["Parameter", ...] = ()

    @property
    def name(self) -> str:
        """Its own key."""
        return self.path[-1]


@frozen
class Parameters:
    """All of ``params.yml``.

    Attributes:
        types: What a value may be, by name: ``words`` for people and the ``schema`` that checks it.
        definitions: Schemas that types refer to.
        top: The parameters at the top of a job file, in the order of the page.
    """

    types: Mapping[str, Mapping[str, Any]]
    definitions: Mapping[str, object]
    top: tuple[Parameter, ...]

    def words(self, parameter: Parameter) -> str:
        """What the value of a parameter may be, for people."""
        return _WORDS.get(parameter.type) or str(self.types[parameter.type]["words"])

    def walk(self) -> Iterator[Parameter]:
        """Every parameter, each before those inside it."""
        waiting = list(reversed(self.top))
        while waiting:
            parameter = waiting.pop()
            yield parameter
            waiting += reversed(parameter.parameters)


def load_parameters(path: Path) -> Parameters:
    """Read ``params.yml``.

    Raises:
        DocumentError: It cannot be read.
        SchemaError: An entry lacks a key, or has one that is not known.
    """
    document = load(path)
    content = cast("dict[str, Any]", document.data)
    return Parameters(
        types=content["types"],
        definitions=content["definitions"],
        top=_read(document, content["parameters"], ("parameters",), ()),
    )


def _read(
    document: Document, entries: Mapping[str, Any], place: tuple[str, ...], above: tuple[str, ...]
) -> tuple[Parameter, ...]:
    """The parameters that stand at `place` of the document, inside the parameter `above`."""
    parameters = []
    for name, entry in entries.items():
        path = (*above, name)
        inside = _read(document, entry.get("parameters", {}), (*place, name, "parameters"), path)
        try:
            parameters.append(Parameter(**{**entry, "path": path, "parameters": inside}))
        except TypeError as error:
            message = f"`{name}`: {str(error).removeprefix('Parameter.__init__() ')}"
            raise SchemaError(Problem(message, document.place((*place, name)), rule="parameters")) from None
    return tuple(parameters)


def build(root: Path) -> list[Path]:
    """Make the schema and the page of the checkout at `root` anew; the files that were written."""
    built = _build_all(root)
    for path, text in built.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(built)


def check(root: Path) -> list[Problem]:
    """Find the built files of the checkout at `root` that differ from a fresh build."""
    return [
        Problem(f"is not what {PARAMS} gives", Place(str(path)), f"run `{_REBUILD}`", "schema-build")
        for path, text in _build_all(root).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def _build_all(root: Path) -> dict[Path, str]:
    parameters = load_parameters(root / PARAMS)
    schema = json.dumps(build_schema(parameters), indent=2, ensure_ascii=False) + "\n"
    return {root / SCHEMA: schema, root / PAGE: build_page(parameters)}


def build_schema(parameters: Parameters) -> dict[str, object]:
    """The JSON Schema of a job file, draft 2020-12.

    The ``title`` of every schema says in words what the value must be; error messages are made of it.
    """
    job = _mapping_schema(parameters, parameters.top)
    reference = {"$ref": "#/$defs/job"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Made from {PARAMS} by `{_REBUILD}`; change it there.",
        "title": "a job, or a list of jobs",
        "description": "A job file: what runs, on which hosts, when, and how many at once.",
        "anyOf": [
            reference,
            {"title": "a list of at least one job", "type": "array", "minItems": 1, "items": reference},
        ],
        "$defs": {"job": job, **parameters.definitions},
    }


def _mapping_schema(parameters: Parameters, inside: tuple[Parameter, ...]) -> dict[str, object]:
    schema: dict[str, object] = {
        "title": _WORDS["mapping"],
        "type": "object",
        "additionalProperties": False,
        "properties": {each.name: _value_schema(parameters, each) for each in inside},
    }
    if required := [each.name for each in inside if each.required and not each.unless]:
        schema["required"] = required
    for each in inside:
        if each.unless:
            instead = {"required": [each.unless], "properties": {each.unless: {"not": {"type": "null"}}}}
            schema["anyOf"] = [{"required": [each.name]}, instead]
    return schema


def _value_schema(parameters: Parameters, parameter: Parameter) -> dict[str, object]:
    if parameter.type == "mapping":
        shape = _mapping_schema(parameters, parameter.parameters)
    elif parameter.type == "list":
        shape = {"type": "array", "minItems": 1, "items": _mapping_schema(parameters, parameter.parameters)}
    else:
        shape = parameters.types[parameter.type]["schema"]
    schema: dict[str, object] = {
        **(_nullable(shape) if parameter.nullable else shape),
        "title": parameters.words(parameter),
        "description": parameter.description,
    }
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.example is not None:
        schema["examples"] = [parameter.example]
    return schema


def _nullable(shape: Mapping[str, Any]) -> dict[str, object]:
    schema = dict(shape)
    if "type" in shape:
        types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
        schema["type"] = [*types, "null"]
    if "enum" in shape:
        schema["enum"] = [*shape["enum"], None]
    if "anyOf" in shape:
        schema["anyOf"] = [*shape["anyOf"], {"type": "null"}]
    return schema


def build_page(parameters: Parameters) -> str:
    """The reference page, in Markdown."""
    listed = "\n".join(
        f"{'  ' * (len(each.path) - 1)}- [{each.name}](#{_anchor(each)})" for each in parameters.walk()
    )
    return _PAGE_HEAD + listed + "\n" + "".join(_section(parameters, each) for each in parameters.walk())


def _section(parameters: Parameters, parameter: Parameter) -> str:
    need = f"yes, unless `{parameter.unless}` is given" if parameter.unless else "yes"
    lines = [
        f"- Value: {parameters.words(parameter)}{', or null' if parameter.nullable else ''}",
        f"- Required: {need if parameter.required else 'no'}",
    ]
    if parameter.validation:
        lines.append(f"- In the API: {parameter.validation}")
    if parameter.default is not None:
        lines.append(f"- Default: `{_flow(parameter.default)}`")
    if parameter.otherwise:
        lines.append(f"- When left out: {parameter.otherwise}")
    if parameter.example is not None:
        lines.append(f"- Example: `{parameter.name}: {_flow(parameter.example)}`")
    heading = f'\n## <a id="{_anchor(parameter)}"></a>{".".join(parameter.path)}\n'
    return "\n".join([heading, parameter.description, "", *lines, ""])


def _anchor(parameter: Parameter) -> str:
    return "-".join(parameter.path)


def _flow(value: object) -> str:
    """A value as it can stand in YAML behind its key."""
    return json.dumps(value, ensure_ascii=False)
