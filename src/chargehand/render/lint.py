"""Lint: what can be said of a template without rendering it; it is parsed and never compiled."""

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError, nodes

from chargehand.errors import InvalidError, Place, Problem, did_you_mean
from chargehand.expression import expression
from chargehand.render.environment import Sandbox
from chargehand.render.filters import FILTERS
from chargehand.template import JobTemplate, TemplateInput, Templates

RULE = "template"

_SHELL = expression(r"#!\s*\S*/(env\s+)?(\S*/)?(ba|da|k|z|a)?sh\b")
# An input that is a line of its own is a command, not a word of one.
_WHOLE_LINE = expression(r"(\{?#?#\})?\s*\{\{[^{}]*\}\}\s*")
# What makes a text safe for a shell, or something that is not text any more.
_SAFE_FILTERS = frozenset({"quote", "int", "float", "length", "count", "b64encode", "abs", "round"})
# Nodes that look at a value and print another.
_JUDGES = (nodes.Compare, nodes.Test, nodes.Not)
_READERS = (nodes.Call, nodes.Getattr, nodes.Getitem)


def lint(template: JobTemplate, templates: Templates) -> list[Problem]:
    """Everything suspicious about a template.

    Errors: a syntax error, an input or a filter that there is none of. Warnings: an input that is
    declared and never used, an input printed into a shell script without ``| quote``.
    """
    try:
        return _findings(template, templates)
    except TemplateSyntaxError as error:
        return [Problem(error.message or "syntax error", Place(template.file, error.lineno), rule=RULE)]
    except RecursionError:
        return [Problem("the template is nested too deep", Place(template.file), rule=RULE)]
    except InvalidError as error:
        return list(error.problems)


def _findings(template: JobTemplate, templates: Templates) -> list[Problem]:
    tree = Sandbox().parse(template.source, template.name, template.file)
    inputs = {each.name: each for each in templates.inputs_of(template)}
    return [
        *_unknown_inputs(tree, template, inputs),
        *_unknown_filters(tree, template),
        *_unused_inputs(tree, template),
        *_unquoted_inputs(tree, template, inputs),
    ]


def _unknown_inputs(
    tree: nodes.Template, template: JobTemplate, inputs: dict[str, TemplateInput]
) -> Iterator[Problem]:
    if template.snippet:  # it reads the inputs of whoever includes it
        return
    for node, name in _uses(tree):
        if name not in inputs:
            place = Place(template.file, node.lineno)
            yield Problem(f"there is no input `{name}`", place, did_you_mean(name, inputs), RULE)


def _unknown_filters(tree: nodes.Template, template: JobTemplate) -> Iterator[Problem]:
    for node in tree.find_all(nodes.Filter):
        if node.name not in FILTERS:
            place = Place(template.file, node.lineno)
            yield Problem(f"there is no filter `{node.name}`", place, did_you_mean(node.name, FILTERS), RULE)


def _unused_inputs(tree: nodes.Template, template: JobTemplate) -> Iterator[Problem]:
    if _passes_inputs_on(tree):
        return
    used = {name for _, name in _uses(tree)}
    for declared in template.template_inputs:
        if declared.name not in used:
            message = f"input `{declared.name}` is never used"
            hint = f"use it as {{{{ input('{declared.name}') }}}}, or drop it"
            yield Problem(message, declared.place, hint, RULE, "warning")


def _unquoted_inputs(
    tree: nodes.Template, template: JobTemplate, inputs: dict[str, TemplateInput]
) -> Iterator[Problem]:
    if template.body.startswith("#!") and not _SHELL.match(template.body):
        return
    lines = template.source.splitlines()
    for output in tree.find_all(nodes.Output):
        for printed in output.nodes:
            for node, name in _bare(printed):
                declared = inputs.get(name)
                limited = declared is not None and declared.options
                if not limited and not _WHOLE_LINE.fullmatch(lines[node.lineno - 1]):
                    message = f"input `{name}` reaches the shell unquoted"
                    hint = f"write {{{{ input('{name}') | quote }}}}"
                    yield Problem(message, Place(template.file, node.lineno), hint, RULE, "warning")


def _passes_inputs_on(tree: nodes.Template) -> bool:
    """Whether inputs are used in ways that no name shows: by a snippet, an include, or a computed name."""
    if any(tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport))):
        return True
    return any(
        isinstance(call.node, nodes.Name)
        and (
            call.node.name in {"snippet", "render_template"}
            or (call.node.name == "input" and not _named(call))
        )
        for call in tree.find_all(nodes.Call)
    )


def _uses(tree: nodes.Node) -> Iterator[tuple[nodes.Expr, str]]:
    """Every expression below that reads an input, and which."""
    for node in sorted(tree.find_all(_READERS), key=lambda node: _READERS.index(type(node))):
        if (name := _input_name(node)) is not None:
            yield node, name


def _input_name(node: nodes.Node) -> str | None:
    match node:
        case nodes.Call(node=nodes.Name(name="input")):
            return _named(node)
        case nodes.Getattr(node=nodes.Name(name="inputs"), attr=name):
            return str(name)
        case nodes.Getitem(node=nodes.Name(name="inputs"), arg=nodes.Const(value=name)):
            return str(name)
    return None


def _named(call: nodes.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, nodes.Const) and isinstance(first.value, str) else None


def _is_safe(used: nodes.Filter) -> bool:
    """Whether a filter leaves nothing for a shell to read: ``quote``, a number, ``map('quote')``."""
    return used.name in _SAFE_FILTERS or (
        used.name == "map" and any(isinstance(arg, nodes.Const) and arg.value == "quote" for arg in used.args)
    )


def _bare(node: nodes.Node) -> Iterator[tuple[nodes.Expr, str]]:
    """The inputs that an expression prints as they are."""
    if isinstance(node, _JUDGES) or (isinstance(node, nodes.Filter) and _is_safe(node)):
        return
    if isinstance(node, nodes.Expr) and (name := _input_name(node)) is not None:
        yield node, name
        return
    if isinstance(node, nodes.CondExpr):  # what it decides by is not printed
        yield from _bare(node.expr1)
        if node.expr2 is not None:
            yield from _bare(node.expr2)
        return
    for child in node.iter_child_nodes():
        yield from _bare(child)
