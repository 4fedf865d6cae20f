"""JobTemplate: what can be run - a script with blanks, and the inputs that fill them."""

from dataclasses import field
from typing import Literal

from chargehand.errors import Place
from chargehand.frozen import frozen

InputType = Literal["user", "fact", "variable"]
ValueType = Literal["plain", "search", "date", "resource"]


@frozen
class TemplateInput:
    """One value that a job template asks for.

    Attributes:
        name: Key under ``inputs`` of a job, and ``input('name')`` in a script.
        input_type: Who gives the value: the ``user``, a ``fact`` or a ``variable`` of the host.
        value_type: What a user's value must look like.
        fact_name: Of a fact: its path in the host's facts, steps divided by ``.`` or ``::``.
        variable_name: Of a variable: the host variable.
        required: Without a value and a default nothing is rendered.
        advanced: Seldom needed; told apart in documentation only.
        hidden_value: Shown as ``***`` wherever people look.
        options: The only values accepted; none means any.
        default: The value when none is given.
        resource_type: Of a resource: what its id belongs to.
        description: For people.
        place: Where it is declared.
    """

    name: str
    input_type: InputType = "user"
    value_type: ValueType = "plain"
    fact_name: str | None = None
    variable_name: str | None = None
    required: bool = False
    advanced: bool = False
    hidden_value: bool = False
    options: tuple[str, ...] = ()
    default: str | None = None
    resource_type: str | None = None
    description: str | None = None
    place: Place | None = field(default=None, repr=False, compare=False)


@frozen
class ForeignInputSet:
    """Inputs taken over from another job template.

    Attributes:
        template: Name of the other template.
        include: The inputs taken; None takes all.
        exclude: The inputs left out, whatever `include` says.
        place: Where it is declared.
    """

    template: str
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    place: Place | None = field(default=None, repr=False, compare=False)


@frozen
class EffectiveUser:
    """Who the script runs as.

    Attributes:
        value: User name; None leaves it to the setting.
        overridable: Whether a job invocation may name another.
        current_user: Run as whoever starts the job.
    """

    value: str | None = None
    overridable: bool = True
    current_user: bool = False


@frozen
class JobTemplate:
    """What can be run.

    Attributes:
        name: Unique; what jobs call it.
        id: The number that jobs may call it by; None when it has none.
        job_category: Heading it is listed under; only a snippet may be without.
        provider_type: Kind of provider that can run it; ``script`` is the only one.
        description_format: How a job invocation is described; ``%{input name}`` stands for a value.
        feature: Label of the feature that this template serves.
        effective_user: Who the script runs as.
        execution_timeout_interval: Seconds a script may run; None leaves it to the job.
        template_inputs: Its own inputs, in order.
        foreign_input_sets: The inputs it takes over from other templates.
        snippet: A piece of other templates, which cannot be run by itself.
        description: For people.
        organizations: Names or ids of those that see it; empty means all.
        locations: Names or ids of those that see it; empty means all.
        body: Jinja2 source, without the metadata. Rendering ends its lines with a line feed, whatever
            they ended with; carriage returns in values are kept.
        file: Path of its file, as found.
        first_line: Line of the file on which `body` begins.
    """

    name: str
    id: int | None = None
    job_category: str = ""
    provider_type: str = "script"
    description_format: str | None = None
    feature: str | None = None
    effective_user: EffectiveUser = EffectiveUser()
    execution_timeout_interval: int | None = None
    template_inputs: tuple[TemplateInput, ...] = ()
    foreign_input_sets: tuple[ForeignInputSet, ...] = ()
    snippet: bool = False
    description: str | None = None
    organizations: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    body: str = field(repr=False)
    file: str
    first_line: int = 1

    @property
    def source(self) -> str:
        """`body` with its first line moved to where it stands in the file, for errors that name a line."""
        return "{#" + "\n" * (self.first_line - 1) + "#}" + self.body
