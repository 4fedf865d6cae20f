"""Frozen: dataclasses that cannot be changed, made in a fifth of the time that `dataclass` takes.

A command loads two hundred of them and makes a few instances of some; `dataclass` compiles six functions for
each. Here `__init__` is compiled for what is made often, and the rest is the same function for all.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, Final, Never, TypeVar, dataclass_transform, overload

T = TypeVar("T")

_OFTEN: Final = 32
"""Making so many by hand takes less long than compiling."""


@overload
def frozen(cls: type[T], /) -> type[T]: ...


@overload
def frozen(*, kw_only: bool = True, slots: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: Any = None, /, *, kw_only: bool = True, slots: bool = True) -> Any:
    """What ``dataclass(frozen=True, slots=True, kw_only=True)`` makes of a class."""

    def decorate(cls: type[Any]) -> type[Any]:
        own = {name for name, what in vars(cls).items() if what is not None}
        # Without one `dataclass` makes one of a signature, which takes long.
        cls.__doc__ = cls.__doc__ or cls.__name__
        made = dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
        compared = [each.name for each in fields(made) if each.compare]
        equal, number = _comparing(attrgetter(*compared) if compared else _nothing)
        methods = {**_METHODS, "__init__": _init_later(made), "__eq__": equal, "__hash__": number}
        for name, method in methods.items():
            if name not in own:
                setattr(made, name, method)
        return made

    return decorate if cls is None else decorate(cls)


def _init_later(cls: type[Any]) -> Callable[..., None]:
    def init(self: object, *arguments: object, **named: object) -> None:
        cls.__init__ = _init_by_hand(cls)
        cls.__init__(self, *arguments, **named)

    return init


def _init_by_hand(cls: type[Any]) -> Callable[..., None]:
    """`__init__` of the first instances; what is made often, or wrongly, is left to the compiled one."""
    own = fields(cls)
    setters = [(each.name, _setter(cls, each)) for each in own]
    positional = [each.name for each in own if each.init and not each.kw_only]
    known = {each.name for each in own if each.init}
    required = {each.name for each in own if each.init and _is_required(each)}
    defaults = {each.name: each.default for each in own if each.default is not MISSING}
    makers = [(each.name, each.default_factory) for each in own if callable(each.default_factory)]
    turns = iter(range(_OFTEN))

    def init(self: Any, *arguments: object, **named: object) -> None:  # noqa: ANN401 - any of them
        given = {**dict(zip(positional, arguments, strict=False)), **named}
        if (
            len(given) < len(arguments) + len(named)
            or not required <= given.keys() <= known
            or next(turns, None) is None
        ):
            cls.__init__ = _init(cls)
            cls.__init__(self, *arguments, **named)
            return
        made = {name: make() for name, make in makers if name not in given}
        values = {**defaults, **made, **given}
        for name, setter in setters:
            if name in values:
                setter(self, values[name])
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    return init


def _init(cls: type[Any]) -> Callable[..., None]:
    """Compile `__init__`; it sets slots by their descriptors, as nothing else may."""
    known: dict[str, Any] = {"__missing": MISSING}
    heads: dict[bool, list[str]] = {False: ["self"], True: []}
    lines = []
    for each in fields(cls):
        name = each.name
        known |= {f"__default_{name}": each.default, f"__make_{name}": each.default_factory}
        known[f"__set_{name}"] = _setter(cls, each)
        if each.init:
            default = "" if _is_required(each) else f"=__default_{name}"
            heads[bool(each.kw_only)].append(f"{name}{default}")
        value = name if each.init else f"__default_{name}"
        if each.default_factory is not MISSING:
            value = f"__make_{name}() if {value} is __missing else {value}"
        if each.init or not _is_required(each):
            lines.append(f" __set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    head = ", ".join([*heads[False], *(["*"] if heads[True] else []), *heads[True]])
    exec("\n".join([f"def __init__({head}):", *lines, " return"]), known)  # noqa: S102 - names of fields
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _is_required(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _setter(cls: type[Any], each: "Field[Any]") -> Callable[[object, object], None]:
    slot = getattr(cls, each.name, None)
    if type(slot).__name__ == "member_descriptor":
        setter: Callable[[object, object], None] = slot.__set__  # type: ignore[union-attr]
        return setter
    return lambda self, value: object.__setattr__(self, each.name, value)


def _comparing(values: Callable[[object], object]) -> tuple[Callable[..., Any], ...]:
    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def number(self: object) -> int:
        return hash(values(self))

    return equal, number


def _nothing(_: object) -> tuple[()]:
    return ()


def _repr(self: Any) -> str:  # noqa: ANN401 - any of them
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse(self: object, name: str, *_: object) -> Never:
    raise FrozenInstanceError(f"cannot assign to field {name!r} of a {type(self).__name__}")


def _state(self: Any) -> dict[str, object]:  # noqa: ANN401 - any of them
    return {each.name: getattr(self, each.name) for each in fields(self)}


def _restore(self: object, state: dict[str, object]) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value)


_METHODS = {
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,
    "__setstate__": _restore,
}
