"""Reads: which values of a host a template can look at, so that hosts alike in them are rendered once.

Found in the syntax tree, which is parsed and never compiled. A name, an attribute or an input counts as
read wherever it stands: hosts may be told apart without need, and are never taken for alike when their
scripts could differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from jinja2 import TemplateError, nodes

from chargehand.errors import InvalidError
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.render import frame
from chargehand.render.environment import Sandbox
from chargehand.render.rendering import fact, magic_names, shown
from chargehand.template import JobTemplate, Templates

Kind = Literal["variable", "host", "fact"]
Path = tuple[Kind, *tuple[str, ...]]

# These are the same for every host, or say what the inputs of a template say.
_OURS: Final = frozenset({"input", "inputs", "render_error", "cached", "preview", "hostvars", "groups"})
_NAMERS: Final = frozenset({"render_template", "snippet"})
_METHODS: Final = frozenset(name for kind in (dict, list, str, int, float) for name in dir(kind))
_REFERENCES: Final = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


@frozen(kw_only=False)
class Reads:
    """What a template, and every template that it names, can read of a host.

    Attributes:
        paths: The kind of thing, and the steps to it; ``("host",)`` is all that templates see of a host.
    """

    paths: tuple[Path, ...]

    def of(self, host: Host) -> bytes | None:
        """All of that; None when some of it is no plain data, so that nobody is like this host."""
        if not self.paths:
            return b""
        try:
            return frame.text([_value(host, path) for path in self.paths], "host")
        except frame.NotPlainError:
            return None


class Reading:
    """Finds out what templates can read.

    Args:
        templates: Every template that may be named by another.
    """

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._library = {each.name: each for each in templates}
        self._reads: dict[str, Reads | None] = {}
        self._findings: dict[str, _Findings] = {}

    def of(self, template: JobTemplate) -> Reads | None:
        """What a template can read; None when that cannot be told, as of one that is broken."""
        known = template in self._templates
        if known and template.name in self._reads:
            return self._reads[template.name]
        try:
            reads: Reads | None = Reads(tuple(sorted(self._paths(template))))
        except (TemplateError, InvalidError, RecursionError):
            reads = None
        if known:
            self._reads[template.name] = reads
        return reads

    def _paths(self, template: JobTemplate) -> set[Path]:
        """What a template and all that it names read."""
        paths: set[Path] = set()
        seen: set[str] = set()
        waiting = [template]
        while waiting:
            findings = self._findings_of(waiting.pop())
            paths |= findings.paths
            named = set(self._library) if findings.any_template else findings.templates & set(self._library)
            waiting += [self._library[name] for name in named - seen]
            seen |= named
        return paths

    def _findings_of(self, template: JobTemplate) -> "_Findings":
        known = template in self._templates
        if known and template.name in self._findings:
            return self._findings[template.name]
        findings = _Findings(_input_paths(template, self._templates))
        findings.walk(Sandbox().parse(template.source))
        if known:
            self._findings[template.name] = findings
        return findings


def _input_paths(template: JobTemplate, templates: Templates) -> set[Path]:
    """What the inputs of a template take from a host."""
    paths: set[Path] = set()
    for each in templates.inputs_of(template):
        if each.input_type == "fact" and each.fact_name is not None:
            paths.add(("fact", each.fact_name))
        if each.input_type == "variable" and each.variable_name is not None:
            paths.add(("variable", each.variable_name))
    return paths


@dataclass(slots=True)
class _Findings:
    """What the nodes of one template read.

    Attributes:
        paths: Of a host.
        templates: Names of other templates.
        any_template: Whether it names others in a way that only a render shows.
    """

    paths: set[Path] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)
    any_template: bool = False

    def walk(self, tree: nodes.Node) -> None:
        """Add what a node and those below it read."""
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            path = _path(node)
            if path is not None:
                self._add(path)
            elif isinstance(node, nodes.Call) and (name := _called(node)) is not None:
                self._add_call(name, node)
                waiting += [*node.args, *node.kwargs]
                waiting += [each for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
            else:
                if isinstance(node, _REFERENCES):
                    self._refer(node.template)
                waiting += node.iter_child_nodes()

    def _add(self, steps: tuple[str, ...]) -> None:
        name = steps[0]
        if name == "host":
            self.paths.add(("host", *steps[1:]))
        elif name == "host_param":
            self.paths.add(("variable",))
        elif name in _NAMERS:
            self.any_template = True
        elif name not in _OURS:
            self.paths.add(("variable", *steps))

    def _add_call(self, name: str, call: nodes.Call) -> None:
        if name != "host_param":
            self._refer(call.args[0] if call.args else call)
        elif call.args and (text := _text(call.args[0])) is not None:
            self.paths.add(("variable", text))
        else:
            self.paths.add(("variable",))

    def _refer(self, node: nodes.Node) -> None:
        name = _text(node)
        if name is None:
            self.any_template = True
        else:
            self.templates.add(name)


def _path(node: nodes.Node) -> tuple[str, ...] | None:
    """The steps of ``name``, ``name.attribute`` and ``name['key']``; a method is a reading of its object."""
    steps: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        step = node.attr if isinstance(node, nodes.Getattr) else _text(node.arg)
        if step is None or step in _METHODS:
            return None
        steps.append(step)
        node = node.node
    if not isinstance(node, nodes.Name) or node.ctx != "load":
        return None
    return (node.name, *reversed(steps))


def _called(call: nodes.Call) -> str | None:
    """Of a call by which a template reaches a variable or another template, the name."""
    name = call.node.name if isinstance(call.node, nodes.Name) else None
    return name if name == "host_param" or name in _NAMERS else None


def _text(node: nodes.Node) -> str | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else None


def _value(host: Host, path: Path) -> list[object]:
    """What stands at the end of a path, or where it leads no further; nothing when nothing stands there."""
    kind, *steps = path
    if kind == "fact":
        return [fact(host.facts, steps[0])]
    if kind == "host":
        return _follow(shown(host), steps)
    if not steps:
        return [host.vars, magic_names(host)]
    return _follow(_names(host, steps[0]), steps)


def _names(host: Host, name: str) -> Mapping[str, object]:
    magic = magic_names(host)
    return magic if name in magic else host.vars


def _follow(value: object, steps: list[str]) -> list[object]:
    for step in steps:
        if not isinstance(value, Mapping):
            return [value]
        if step not in value:
            return []
        value = value[step]
    return [value]
