"""Document, and the two ways to one: from a file and from a text."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.document.dialect import YAML_12, Dialect, Limits
from chargehand.document.source import Source, check_characters, check_size, is_secret_key, read_text
from chargehand.document.tree import Branch, Leaf, Node, grow
from chargehand.errors import DocumentError, Place, Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """A file as plain data, with the place and the source text of every value.

    Attributes:
        file: Path as the user wrote it, or a name such as ``<request>``.
        data: Mappings with text keys (any scalar in YAML 1.1), lists, text, numbers, booleans, None and
            `Vaulted`.
        source: What was read, by lines.
        tree: The same data with places; read it through `place` and `written`.
        warnings: What is allowed and yet hardly meant.
    """

    file: str
    data: object = field(repr=False)
    source: Source = field(repr=False)
    tree: Node = field(repr=False)
    warnings: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """What was read, without a byte order mark."""
        return self.source.text

    def place(self, path: Sequence[str | int] = (), *, key: bool = False) -> Place:
        """Where the value at `path` stands, or its key; its nearest ancestor's when nothing stands there.

        The line that is shown never holds the value of a key that sounds like a secret's.
        """
        nodes = self._walk(path)
        spot = nodes[-1]
        if key and path and len(nodes) == len(path) + 1 and isinstance(parent := nodes[-2], Branch):
            spot = parent.keys.get(path[-1], spot)
        place = self.source.place(spot.line, spot.column)
        if any(map(is_secret_key, path)) and not str(place.source).endswith("***"):
            return replace(place, source=None)
        return place

    def written(self, path: Sequence[str | int]) -> str:
        """The scalar at `path` as its author wrote it: ``22:30``, ``0755``, ``1.10``.

        Of a quoted or block scalar its content.

        Raises:
            KeyError: No scalar stands there.
        """
        nodes = self._walk(path)
        if len(nodes) == len(path) + 1 and isinstance(nodes[-1], Leaf):
            return nodes[-1].written
        raise KeyError(f"no scalar at {list(path)}")

    def _walk(self, path: Sequence[str | int]) -> list[Node]:
        """The nodes along `path`, from the root, as far as there are any."""
        nodes = [self.tree]
        for step in path:
            last = nodes[-1]
            if not isinstance(last, Branch) or step not in last.children:
                break
            nodes.append(last.children[step])
        return nodes


def load(path: Path | str, *, dialect: Dialect = YAML_12, limits: Limits | None = None) -> Document:
    """Read a file: YAML, or JSON, which is read as the YAML it nearly is.

    Args:
        path: A regular file; its name is told in errors as it is given.
        dialect: What scalars mean; `YAML_11` for inventories.
        limits: Other limits than the dialect's.

    Raises:
        DocumentError: With every problem found.
    """
    limits = limits or dialect.limits
    return parse(read_text(Path(path), limits.size_bytes), str(path), dialect=dialect, limits=limits)


def parse(text: str, file: str, *, dialect: Dialect = YAML_12, limits: Limits | None = None) -> Document:
    """Read a text as `load` reads a file.

    Raises:
        DocumentError: With every problem found.
    """
    limits = limits or dialect.limits
    check_size(len(text), limits.size_bytes, Place(file))
    source = Source(file, text)
    found = check_characters(source, dialect)
    if any(problem.severity == "error" for problem in found):
        raise DocumentError(found)
    tree, warnings = grow(source, dialect, limits)
    return Document(file=file, data=tree.value, source=source, tree=tree, warnings=(*found, *warnings))
