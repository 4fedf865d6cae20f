"""Rendering: one template, one host; what the names in a template stand for."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Never

from jinja2 import TemplateNotFound, TemplateRuntimeError

from chargehand.errors import did_you_mean
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.render.environment import Inputs, Sandbox

Values = Mapping[str, object]

_STEPS = expression(r"::|\.")


class RefusedError(TemplateRuntimeError):
    """A render is refused; `hint` is the fix."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@frozen
class Recipe:
    """What the worker knows of a job template.

    Attributes:
        name: Of the template.
        file: Where it stands.
        source: Jinja2 source.
        snippet: Whether it is a piece of others.
        inputs: Own and foreign inputs by name: keys ``type``, ``source``, ``required``, ``default``.
        inherited: By template name, the inputs taken over from it.
    """

    name: str
    file: str
    source: str
    snippet: bool = False
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inherited: Mapping[str, list[str]] = field(default_factory=dict)


@frozen
class Subject:
    """What one render is about.

    Attributes:
        host: The host; None only in a preview.
        vars: The host's variables and Ansible's magic names.
        preview: Whether placeholders stand for what is not known.
        output_bytes: How much one render may print.
    """

    host: Host | None
    vars: Values
    preview: bool
    output_bytes: int


def shown(host: Host) -> dict[str, object]:
    """A host as plain data, which is all that a template may see."""
    return {
        "name": host.name,
        "id": host.id,
        "groups": list(host.groups),
        "vars": host.vars,
        "facts": host.facts,
        "location": host.location,
        "organization": host.organization,
    }


def magic_names(host: Host) -> dict[str, object]:
    """Ansible's magic names that are about one host."""
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name.split(".")[0],
        "group_names": list(host.groups),
    }


class OutputLimitError(Exception):
    """A render prints too much."""


class Rendering:
    """One template with its input values, rendered for one subject; the names that a template has."""

    def __init__(
        self,
        sandbox: Sandbox,
        recipes: Mapping[str, Recipe],
        subject: Subject,
        recipe: Recipe,
        values: Values,
        above: tuple[str, ...] = (),
    ) -> None:
        self._sandbox = sandbox
        self._recipes = recipes
        self._subject = subject
        self._recipe = recipe
        self._values = values
        self._above = (*above, recipe.name)
        self._kept: dict[str, str] = {}

    def render(self) -> str:
        """The script."""
        return self._print(self._recipe.name)

    def names(self) -> dict[str, object]:
        """Everything a template may name; our own words go before a host's variables."""
        return {
            **self._subject.vars,
            "input": self.input,
            "inputs": Inputs(self.input, self._recipe.inputs),
            "render_template": self.render_template,
            "snippet": self.snippet,
            "host_param": self.host_param,
            "render_error": self.render_error,
            "cached": self.cached,
            "preview": self._subject.preview,
            **({} if self._subject.host is None else {"host": shown(self._subject.host)}),
        }

    def input(self, name: str) -> object:
        """The value of an input."""
        if name not in self._recipe.inputs:
            raise RefusedError(
                f"there is no input `{name}`",
                did_you_mean(str(name), self._recipe.inputs),
            )
        value = self._value(name, self._recipe.inputs[name])
        if _blank(value) and self._recipe.inputs[name]["required"]:
            raise RefusedError(f"the required input `{name}` has no value{self._wherefrom(name)}")
        return "" if value is None else value

    def render_template(
        self, name: str, values: Values | None = None, *, with_foreign_input_set: bool = True
    ) -> str:
        """The script of another template.

        Its inputs are `values`, then what this template took over from it, then its own defaults.
        """
        recipe = self._other(name)
        given = {} if values is None else values
        for key in given:
            if key not in recipe.inputs:
                raise RefusedError(
                    f"template `{name}` has no input `{key}`", did_you_mean(str(key), recipe.inputs)
                )
        taken = self._recipe.inherited.get(name, ()) if with_foreign_input_set else ()
        passed = {key: self._values[key] for key in taken if key in self._values} | dict(given)
        return Rendering(self._sandbox, self._recipes, self._subject, recipe, passed, self._above).render()

    def snippet(self, name: str) -> str:
        """The text of a snippet, which sees this template's inputs."""
        if not self._other(name).snippet:
            raise RefusedError(f"`{name}` is no snippet", f"use `render_template('{name}', {{...}})`")
        self._above = (*self._above, name)
        text = self._print(name)
        self._above = self._above[:-1]
        return text

    def host_param(self, name: str, default: object = None) -> object:
        """A variable of the host."""
        value = self._subject.vars.get(name, default)
        if value is None:
            raise RefusedError(
                f"the host has no variable `{name}`", did_you_mean(str(name), self._subject.vars)
            )
        return value

    def render_error(self, message: object) -> Never:
        """Refuse this host."""
        raise RefusedError(str(message))

    def cached(self, key: str, caller: Callable[[], str]) -> str:
        """The text of the block that was first given under this key in this script.

        Kept for one host only: the bytes of a script never depend on which hosts came before.
        """
        if key not in self._kept:
            self._kept[key] = caller()
        return self._kept[key]

    def _print(self, name: str) -> str:
        pieces: list[str] = []
        left = self._subject.output_bytes
        for piece in self._sandbox.get_template(name).generate(self.names()):
            left -= len(piece)
            if left < 0:
                raise OutputLimitError
            pieces.append(piece)
        return "".join(pieces)

    def _other(self, name: str) -> Recipe:
        if name not in self._recipes:
            raise TemplateNotFound(name)
        if name in self._above:
            raise RefusedError(
                "templates render one another in a circle: " + " > ".join((*self._above, name))
            )
        return self._recipes[name]

    def _value(self, name: str, declared: Mapping[str, Any]) -> object:
        """The given value, else the host's, else the default, else a placeholder in a preview, else None."""
        host = self._subject.host
        found = self._values.get(name)
        if found is None and declared["type"] == "fact":
            found = fact(host.facts if host else {}, declared["source"])
        if found is None and declared["type"] == "variable":
            found = self._subject.vars.get(declared["source"])
        if found is None:
            found = declared["default"]
        hostless = host is None and declared["type"] != "user"
        if self._subject.preview and _blank(found) and (declared["required"] or hostless):
            return f"${declared['type'].upper()}_INPUT[{name}]"
        return found

    def _wherefrom(self, name: str) -> str:
        declared = self._recipe.inputs[name]
        return (
            ""
            if declared["type"] == "user"
            else f": the host has no {declared['type']} `{declared['source']}`"
        )


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


def fact(facts: Values, path: str) -> object:
    """The fact at a path such as ``os.release.major`` or ``net::ip``; None when there is none."""
    if path in facts:
        return facts[path]
    found: object = facts
    for step in _STEPS.split(path):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found
