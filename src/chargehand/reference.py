"""SecretReference: where a secret is kept; and resolving it, late, once for a run.

A job file names its secrets and never holds them: ``{env: NAME}``, ``{file: PATH}``,
``{command: [PROGRAM, ...]}``, ``{prompt: true}`` or an Ansible ``!vault`` text. Messages name the
reference, never what it leads to.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from chargehand.document import Vaulted
from chargehand.errors import Place, Problem, SecretError, did_you_mean
from chargehand.frozen import frozen
from chargehand.mask import Mask
from chargehand.program import Printed, ProgramError, run_program
from chargehand.secret import Secret

Prompt = Callable[[str], str]
Kind = Literal["env", "file", "command", "prompt", "vault", "plain"]

RULE = "secret"
SIZE_BYTES = 64 * 1024
COMMAND_TIMEOUT_S = 10.0
_FORMS = "{env: NAME}, {file: PATH}, {command: [PROGRAM, ...]}, {prompt: true} or !vault"
_SAID = 200
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@frozen
class SecretReference:
    """Where a secret is kept.

    Attributes:
        kind: How it is got.
        name: The environment variable, the path, or the question to ask.
        argv: The program and its arguments, of a command.
        held: The vault text, still encrypted, or the plain text itself.
        place: Where the reference stands.
    """

    kind: Kind
    name: str = ""
    argv: tuple[str, ...] = ()
    held: Secret | None = field(default=None, repr=False)
    place: Place | None = field(default=None, compare=False)

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"the environment variable `{self.name}`"
            case "file":
                return f"the file `{self.name}`"
            case "command":
                return f"the command `{self.argv[0]}`"
            case "prompt":
                return "the prompt"
            case "vault":
                return "the vault text"
            case "plain":
                return "the plain text"


def read_reference(
    value: object, place: Place | None = None, *, plain_allowed: bool = False, question: str = ""
) -> SecretReference:
    """Read a secret reference.

    Args:
        value: As a document has it.
        place: Where it stands; its line is not shown, since it may hold the secret.
        plain_allowed: Whether the secret itself may stand there, as over the API.
        question: What a prompt asks for.

    Raises:
        SecretError: It is no reference, or a plain text where none is allowed.
    """
    place = replace(place, source=None) if place else None
    if isinstance(value, Vaulted):
        return SecretReference(kind="vault", held=Secret(value.text), place=place)
    if isinstance(value, str):
        if plain_allowed:
            return SecretReference(kind="plain", held=Secret(value), place=place)
        message = "a secret must not stand in a file" + (f": `{question.strip(': ')}`" if question else "")
        raise SecretError(Problem(message, place, f"refer to it: {_FORMS}", RULE))
    return _read_mapping(value, place, question)


def _read_mapping(value: object, place: Place | None, question: str) -> SecretReference:
    forms = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
    match list(forms.items()):
        case [("env", str(name))] if name and "=" not in name and "\0" not in name:
            return SecretReference(kind="env", name=name, place=place)
        case [("file", str(name))] if name and "\0" not in name:
            return SecretReference(kind="file", name=name, place=place)
        case [("command", list(argv))] if argv and argv[0] and all(map(_is_argument, argv)):
            return SecretReference(kind="command", argv=tuple(argv), place=place)
        case [("prompt", True)]:
            return SecretReference(kind="prompt", name=question or "Secret: ", place=place)
    hints = [did_you_mean(str(form), ("env", "file", "command", "prompt")) for form in forms]
    hint = next(filter(None, hints), None)
    raise SecretError(Problem(f"expected a secret reference: {_FORMS}", place, hint, RULE))


def _is_argument(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def refuse_prompt(question: str) -> str:
    """The prompt of whoever has nobody to ask."""
    raise SecretError(f"nobody can be asked for `{question.strip(': ')}` here")


def resolve(
    reference: SecretReference,
    *,
    environ: Mapping[str, str],
    prompt: Prompt,
    vault_passwords: Sequence[Secret] = (),
    base: Path,
) -> Secret:
    """Get the secret.

    Args:
        reference: Where it is kept.
        environ: The environment, for variables and for commands.
        prompt: Asks a person; is given the question.
        vault_passwords: For vault texts, tried one after another.
        base: The folder that paths are relative to, and in which commands run.

    Raises:
        SecretError: It cannot be had, or is empty; names the reference only.
    """
    try:
        secret = _fetch(reference, environ, prompt, vault_passwords, base)
    except SecretError as error:
        raise SecretError(
            [replace(each, place=reference.place, rule=RULE) for each in error.problems]
        ) from None
    if not secret:
        raise SecretError(Problem(f"{reference} is empty", reference.place, rule=RULE))
    return secret


def _fetch(
    reference: SecretReference,
    environ: Mapping[str, str],
    prompt: Prompt,
    vault_passwords: Sequence[Secret],
    base: Path,
) -> Secret:
    match reference.kind:
        case "env":
            if reference.name not in environ:
                raise SecretError(f"{reference} is not set")
            return Secret(_utf8(environ[reference.name], reference))
        case "file":
            return _text(_read_file(reference, base / reference.name), reference)
        case "command":
            return _text(_run(reference, environ, base), reference)
        case "prompt":
            return Secret(prompt(reference.name))
        case "vault":
            return Secret(import_module("chargehand.vault").decrypt(_held(reference), vault_passwords))
        case "plain":
            return Secret(_held(reference))


def _utf8(text: str, reference: SecretReference) -> str:
    """Refuse the bytes of an environment that are no text."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise SecretError(f"{reference} does not hold UTF-8 text")
    return text


def _held(reference: SecretReference) -> str:
    return reference.held.reveal() if reference.held else ""


def _text(content: bytes, reference: SecretReference) -> Secret:
    """The secret in what a file holds or a command prints: UTF-8, without one last newline."""
    if len(content) > SIZE_BYTES:
        raise SecretError(f"{reference} gives more than {SIZE_BYTES // 1024} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{reference} does not give UTF-8 text") from None
    return Secret(text.removesuffix("\n"))


def _read_file(reference: SecretReference, path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SecretError(f"{reference} is not a regular file")
            if status.st_mode & _READABLE_BY_OTHERS:
                hint = f"chmod 600 {reference.name}"
                raise SecretError(Problem(f"{reference} is open to others than its owner", hint=hint))
            return file.read(SIZE_BYTES + 1)
    except IsADirectoryError:
        raise SecretError(f"{reference} is not a regular file") from None
    except OSError as error:
        raise SecretError(f"{reference} cannot be read: {error.strerror}") from None


def _run(reference: SecretReference, environ: Mapping[str, str], base: Path) -> bytes:
    try:
        printed = run_program(
            reference.argv,
            environ=environ,
            folder=base,
            timeout_s=COMMAND_TIMEOUT_S,
            output_bytes=SIZE_BYTES,
        )
    except ProgramError as error:
        raise SecretError(f"{reference} {error}") from None
    if printed.status != 0:
        said = _said(printed)
        raise SecretError(f"{reference} fails with {_ending(printed.status)}{said and ': ' + said}")
    return printed.stdout


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _said(printed: Printed) -> str:
    """The end of standard error on one line, without what was printed on standard output."""
    answer = printed.stdout.decode(errors="replace").strip()
    error = " ".join(printed.stderr.decode(errors="replace").split())
    masked = Mask([Secret(answer)]).text(error)
    return "".join(char if char.isprintable() else " " for char in masked)[-_SAID:]
