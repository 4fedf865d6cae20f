"""What can be searched: the fields of one kind of record, their types, and how each is read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Generic, Literal, TypeVar

from chargehand.errors import did_you_mean
from chargehand.frozen import frozen

R = TypeVar("R")

Kind = Literal["text", "integer", "number", "boolean", "date", "any"]
"""``any`` is a variable or fact: compared as what both sides read as."""


@frozen(kw_only=False)
class Field(Generic[R]):
    """One field of a record.

    Attributes:
        name: As queries write it.
        kind: What its values are; a value of another kind counts as missing.
        read: Takes the value from a record; None when it has none, a list when it has many.
        choices: All values there can be; asking whether it equals another one is an error. Empty: any.
        words: Words that stand for a value when they are not quoted, such as ``current_user``.
    """

    name: str
    kind: Kind
    read: Callable[[R], object]
    choices: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


@frozen(kw_only=False)
class FieldTable(Generic[R]):
    """All fields of one kind of record.

    Attributes:
        fields: By name.
        keyed: Prefixes that take any key, such as ``facts``: the reader of a key, given the key.
        free: Names of the fields that a word alone is looked for in, first the most telling.
        elsewhere: Names known in Foreman that mean nothing here, with the reason.
        advice: Said of an unknown name that is like none of these.
    """

    fields: Mapping[str, Field[R]]
    keyed: Mapping[str, Callable[[str], Callable[[R], object]]] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    advice: str = "variables are searched as `params.NAME`, facts as `facts.NAME`"

    def find(self, name: str) -> Field[R] | None:
        """The field called `name`, names being case sensitive; None when there is none."""
        prefix, dot, key = name.partition(".")
        if dot and key and prefix in self.keyed:
            return Field(name, "any", self.keyed[prefix](key))
        return self.fields.get(name)

    def why_unknown(self, name: str) -> tuple[str, str | None]:
        """What to say of a name that `find` does not know: the message and the hint."""
        prefix = name.removesuffix(".")
        if prefix in self.keyed:
            return f"`{prefix}` needs a key", f"write `{prefix}.KEY`"
        if name in self.elsewhere:
            return f"the field `{name}` has no meaning here", self.elsewhere[name]
        keyed = next((key for key in self.keyed if name.startswith(key)), None)
        hint = did_you_mean(name, self.fields) or (f"`{keyed}.KEY` reads any key" if keyed else None)
        return f"there is no field `{name}`", hint or self.advice

    def free_fields(self) -> Iterable[Field[R]]:
        """The fields of free text."""
        return [self.fields[name] for name in self.free]
