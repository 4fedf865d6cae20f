"""The Jinja2 environment: a sandbox that sees plain data and nothing else."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, TemplateAssertionError, TemplateNotFound
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Namespace

from chargehand.render.filters import FILTERS, printed
from chargehand.render.undefined import Missing, Withheld

_TRANSPARENT = (str, int, float, list, tuple, dict, LoopContext, Namespace, Withheld)
GLOBALS: Mapping[str, Callable[..., Any]] = {"range": safe_range, "dict": dict, "namespace": Namespace}
TESTS = {name: test for name, test in JINJA_TESTS.items() if name not in {"escaped", "callable"}}


class Inputs:
    """What ``inputs`` stands for: ``inputs.x`` is ``input('x')``, whatever x is called."""

    __slots__ = ("_lookup", "_names")

    def __init__(self, lookup: Callable[[str], object], names: Collection[str]) -> None:
        self._lookup = lookup
        self._names = names

    def __getitem__(self, name: str) -> object:
        return self._lookup(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed: attributes of plain data only, own filters and globals, strict names."""

    def __init__(self, loader: BaseLoader | None = None) -> None:
        super().__init__(
            loader=loader,
            undefined=Missing,
            finalize=printed,
            autoescape=False,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.globals = dict(GLOBALS)
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether a template may reach an attribute: never of a function, a class or a module."""
        return isinstance(obj, _TRANSPARENT) and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: object, attribute: str) -> object:
        """``obj.attribute``."""
        if isinstance(obj, Inputs):
            return obj[attribute]
        return super().getattr(obj, attribute)


class Library(BaseLoader):
    """The templates that a template may name, by name."""

    def __init__(self, sources: Mapping[str, tuple[str, str]]) -> None:
        self._sources = sources

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - Jinja passes it
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Source and file of a template, as Jinja asks for them."""
        if template not in self._sources:
            raise TemplateNotFound(template)
        source, file = self._sources[template]
        return source, file, None

    def list_templates(self) -> list[str]:
        """All names."""
        return sorted(self._sources)


def unknown_name(error: TemplateAssertionError) -> tuple[str, Collection[str]] | None:
    """Of an error about an unknown filter or test: that name, and the known ones."""
    message = error.message or ""
    for start, known in (("No filter named '", FILTERS), ("No test named '", TESTS)):
        if message.startswith(start):
            return message.removeprefix(start).split("'")[0], known
    return None
