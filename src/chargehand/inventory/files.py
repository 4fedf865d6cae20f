"""Files of an inventory: read within limits, decrypted, named as the user knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from chargehand.document import YAML_11, Document, Vaulted, parse
from chargehand.document.source import read_text
from chargehand.errors import DocumentError, Place, Problem, SecretError
from chargehand.frozen import frozen
from chargehand.inventory.draft import Layer, Where
from chargehand.inventory.tree import Locate
from chargehand.secret import Secret

_VAULT_HEADER = "$ANSIBLE_VAULT;"
_COMMENT = (b"#", b";")


@frozen
class Files:
    """Reads the files of one inventory.

    Attributes:
        base: What the names in messages are relative to.
        vault_passwords: Tried one after another.
        size_bytes: How big a file may be.
    """

    base: Path
    vault_passwords: Sequence[Secret] = ()
    size_bytes: int = YAML_11.limits.size_bytes

    def shown(self, path: Path) -> str:
        """The name of a file in messages."""
        name, folder = str(path), f"{self.base}/"
        if name.startswith(folder):
            return name[len(folder) :]
        return str(path.relative_to(self.base) if path.is_relative_to(self.base) else path)

    def read(self, path: Path) -> str:
        """The text of a file.

        Raises:
            DocumentError: It cannot be read, is too big or is not UTF-8.
        """
        try:
            return read_text(path, self.size_bytes)
        except DocumentError as error:
            problems = [self._rename(problem, path) for problem in error.problems]
            raise DocumentError(problems) from None

    def read_source(self, path: Path) -> str:
        """The text of a source, whose comment lines may hold anything and are left out if they do.

        Raises:
            DocumentError: As of `read`; or the source is encrypted as a whole.
        """
        text = self._read_lines(path)
        if text.startswith(_VAULT_HEADER):
            message = "an inventory source that is encrypted as a whole is not read"
            hint = "encrypt its secret values with !vault, or files of group_vars/ and host_vars/"
            raise DocumentError(Problem(message, Place(self.shown(path), 1), hint, "vault"))
        return text

    def _read_lines(self, path: Path) -> str:
        try:
            return self.read(path)
        except DocumentError as error:
            if error.problems[0].rule != "encoding":
                raise
            lines = path.read_bytes().splitlines()
            kept = [b"" if line.lstrip().startswith(_COMMENT) else line for line in lines]
            try:
                return b"\n".join(kept).decode("utf-8-sig")
            except UnicodeDecodeError:
                raise error from None

    def load_vars(self, path: Path) -> tuple[Layer, Sequence[Problem]]:
        """The variables of a file in ``group_vars/`` or ``host_vars/``, and what it is warned of.

        Everything textual in a file that is encrypted as a whole is a `Secret`.

        Raises:
            DocumentError: It cannot be read, or holds no mapping.
            SecretError: It cannot be decrypted.
        """
        text, shown = self.read(path), self.shown(path)
        if text.startswith(_VAULT_HEADER):
            return Layer(self._read_encrypted(text, shown), lambda _: Place(shown)), ()
        document = parse(text, shown, dialect=YAML_11)
        locate = locate_in(document)
        values = _variables(document)
        if self.vault_passwords:
            values = {
                name: self.open_vaults(value, partial(locate, (name,))) for name, value in values.items()
            }
        return Layer(values, lambda name: locate((name,))), document.warnings

    def _read_encrypted(self, text: str, shown: str) -> Mapping[str, object]:
        if not self.vault_passwords:
            message = "the file is encrypted with Ansible Vault, and no vault password is given"
            raise DocumentError(Problem(message, Place(shown, 1), rule="vault"))
        try:
            document = parse(self._decrypt(text, lambda: Place(shown)), shown, dialect=YAML_11)
        except DocumentError as error:
            # The line that is wrong is a line of secrets.
            problems = [replace(problem, place=Place(shown)) for problem in error.problems]
            raise DocumentError(problems) from None
        return {name: conceal(value) for name, value in _variables(document).items()}

    def open_vaults(self, value: object, where: Where) -> object:
        """The same value with every ``!vault`` scalar decrypted, if there are passwords for it.

        Raises:
            SecretError: None of the passwords fits.
        """
        if not self.vault_passwords:
            return value
        if isinstance(value, Vaulted):
            return Secret(self._decrypt(value.text, where))
        if isinstance(value, Mapping):
            return {key: self.open_vaults(item, where) for key, item in value.items()}
        if isinstance(value, list):
            return [self.open_vaults(item, where) for item in value]
        return value

    def _decrypt(self, text: str, where: Where) -> str:
        try:
            opened: str = import_module("chargehand.vault").decrypt(text, self.vault_passwords)
        except SecretError as error:
            raise SecretError([replace(problem, place=where()) for problem in error.problems]) from None
        return opened

    def _rename(self, problem: Problem, path: Path) -> Problem:
        line = problem.place.line if problem.place else None
        return replace(problem, place=Place(self.shown(path), line))


def conceal(value: object) -> object:
    """The same value with every text a `Secret`."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        return {key: conceal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [conceal(item) for item in value]
    return value


def _variables(document: Document) -> dict[str, object]:
    if document.data is None:
        return {}
    if isinstance(document.data, Mapping):
        return {str(name): value for name, value in document.data.items()}
    place = Place(document.file, 1)
    raise DocumentError(Problem("expected variables as `name: value`", place, rule="inventory"))


def locate_in(document: Document) -> Locate:
    """Finds keys of a document."""
    return lambda path: document.place([step for step in path if isinstance(step, (str, int))], key=True)
