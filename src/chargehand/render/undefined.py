"""What a name stands for when there is nothing, or nothing that a template may see."""

from collections.abc import Mapping
from functools import partial
from typing import Never, cast

from jinja2 import StrictUndefined, TemplateRuntimeError, UndefinedError
from jinja2.utils import missing


class UndefinedNameError(UndefinedError):
    """A name is not defined.

    Attributes:
        name: The name.
        known: The names there are, when it was looked for in a mapping; None for a variable.
    """

    def __init__(self, name: str, known: tuple[str, ...] | None, message: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.known = known


class Missing(StrictUndefined):
    """Stands for a name that is not defined; every use is an error that knows the name."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        if hint is None and name is not None and exc is UndefinedError:
            known = tuple(map(str, obj)) if isinstance(obj, Mapping) else () if obj is not missing else None
            exc = cast("type[TemplateRuntimeError]", partial(UndefinedNameError, name, known))
        super().__init__(hint, obj, name, exc)


class Withheld:
    """Stands for a secret, which no template may see; every use is an error that knows the name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name.removeprefix("host.vars.")

    def refuse(self, *_: object) -> Never:
        """Say no."""
        raise UndefinedError(
            f"the variable `{self._name}` is a secret and not available in templates; "
            "make it a hidden input and give its value as a secret reference"
        )

    __str__ = __repr__ = __iter__ = __len__ = __bool__ = __hash__ = __int__ = __float__ = refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __getitem__ = refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __neg__ = refuse
    __call__ = __format__ = __html__ = refuse
