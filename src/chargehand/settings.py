"""Settings: what ``chargehand.toml`` says, the last word wherever a job and a host say nothing.

The file is optional, closed (an unknown key is refused) and lies in the root of the user's repository.
Keys are called what the job file's parameters are called.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chargehand.connection import BecomeMethod, HostKeyPolicy
from chargehand.errors import Place, Problem, SettingsError, did_you_mean
from chargehand.expression import expression
from chargehand.frozen import frozen
from chargehand.moment import MomentError, find_zone
from chargehand.remote import Remote
from chargehand.tracked import read_remote

FILE_NAME = "chargehand.toml"
NO_STORE = "off"
SENDERS = ("github", "gitlab", "gitea", "forgejo", "gogs", "bitbucket", "generic")
MOST_BODY = 100 * 1024 * 1024
"""Whoever takes more into memory can be made to run out of it."""
HEALTH_PATH = "/health"


@frozen
class WebhookSettings:
    """What `serve` hears of pushes by HTTP; the table ``[webhook]``.

    Attributes:
        listen: Address and port, as ``127.0.0.1:8080``; None means that nothing is listened to.
        path: Of the URL that deliveries are sent to.
        secrets: References to the secrets that senders sign with; each of them counts.
        senders: The kinds that are accepted, of `SENDERS`.
        branch: The one whose pushes count; None means any.
        repository: The one whose pushes count, as its host calls it: ``owner/name``; None means any.
        max_body: The longest body that is read, in bytes.
        window: Seconds by which a delivery may be late or early, and for which repeats are known.
    """

    listen: str | None = None
    path: str = "/hooks/git"
    secrets: tuple[object, ...] = field(default=(), repr=False)
    senders: tuple[str, ...] = SENDERS
    branch: str | None = None
    repository: str | None = None
    max_body: int = 1024 * 1024
    window: float = 300.0


@frozen
class Settings:
    """What holds for every job of a project unless the job or the host says otherwise.

    Attributes:
        inventory: Inventory sources, relative to the project.
        templates: Folder of the project's own job templates.
        blackout: Calendars of when no job starts by itself, relative to the project.
        notify: Names of who can be told of runs, each with a secret reference that leads to a URL.
        time_zone: IANA name, for datetimes without an offset and jobs without a ``time_zone``.
        plain_secrets: Whether a secret may be written out in a job file: ``refuse`` or ``allow``.
        vault_password_files: Files whose first line is an Ansible vault password.
        concurrency_level: Hosts at once when neither the job nor the command line says.
        parallel_invocations: Job invocations that one `serve` or `tick` carries out at once.
        ssh_provider: How ``ssh`` hosts are reached: ``ssh``, ``ssh-processes``, ``ssh-threads`` or
            ``ssh-stock``.
        ssh_user: None means what ssh_config says, else the login name of this process.
        ssh_port: None means what ssh_config says, else 22.
        password: A secret reference; see `chargehand.reference`.
        key_passphrase: A secret reference.
        private_key_file: A path; None means ssh_config's and OpenSSH's usual ones.
        agent: Whether a running ssh-agent may be asked.
        host_key_policy: ``strict``, ``accept-new`` or ``off``.
        known_hosts_files: None means OpenSSH's.
        ssh_config_file: None means the user's and the system's.
        effective_user: Foreman's default is ``root``.
        effective_user_method: The program that switches.
        effective_user_password: A secret reference.
        remote_working_dir: Folder on the host to try first; None means the usual ones.
        execution_timeout_interval: Seconds a script may run when neither job nor template says.
        connect_timeout: Seconds for the TCP connection.
        proxy_command: Whether an inventory may name a program of this machine to connect through.
        run_programs: Whether executable inventories may be run.
        store: Address of the database that runs are recorded in, or a secret reference to it; ``off`` records
            nothing, None means a file in the project's ``.chargehand``.
        git: The repository that is tracked; None means that the project's files are those of its folder.
        webhook: What `serve` hears of pushes.
    """

    inventory: tuple[str, ...] = ("inventory",)
    templates: str = "playbooks/templates"
    blackout: tuple[str, ...] = ()
    notify: Mapping[str, object] = field(default_factory=dict, repr=False)
    time_zone: str | None = None
    plain_secrets: str = "refuse"
    vault_password_files: tuple[str, ...] = ()
    concurrency_level: int = 50
    parallel_invocations: int = 16
    ssh_provider: str = "ssh"
    ssh_user: str | None = None
    ssh_port: int | None = None
    password: object = None
    key_passphrase: object = None
    private_key_file: str | None = None
    agent: bool = True
    host_key_policy: HostKeyPolicy = "strict"
    known_hosts_files: tuple[str, ...] | None = None
    ssh_config_file: str | None = None
    effective_user: str = "root"
    effective_user_method: BecomeMethod = "sudo"
    effective_user_password: object = None
    remote_working_dir: str | None = None
    execution_timeout_interval: int | None = None
    connect_timeout: float = 10.0
    proxy_command: str = "refuse"
    run_programs: bool = True
    store: object = None
    git: Remote | None = None
    webhook: WebhookSettings = WebhookSettings()
    file: str = field(default=FILE_NAME, repr=False)


_LISTEN = expression(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", re.ASCII)
_PATH = expression(r"(/[\w.~-]+)+", re.ASCII)


@frozen(kw_only=False)
class _Kind:
    """What a value must look like, in words, and the check that says so."""

    words: str
    fits: Callable[[Any], bool]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_zone(value: object) -> bool:
    try:
        find_zone(str(value))
    except MomentError:
        return False
    return True


def _is_store(value: object) -> bool:
    """Whether a value may say where the store is; a password must not stand in a file."""
    if isinstance(value, dict):
        return True
    if not isinstance(value, str) or value == NO_STORE:
        return value == NO_STORE
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    asked = {key.casefold() for key, _ in parse_qsl(url.query, keep_blank_values=True)}
    return bool(url.scheme) and not url.password and asked.isdisjoint(("password", "sslpassword"))


def _is_listen(value: object) -> bool:
    """Whether a value is ``HOST:PORT``; an IPv6 address stands in brackets."""
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    return found is not None and int(found[2]) <= 65535


def _one_of(*words: str) -> _Kind:
    return _Kind("one of " + ", ".join(f'"{word}"' for word in words), lambda value: value in words)


_TEXT = _Kind("a text", lambda value: isinstance(value, str) and value != "")
_TEXTS = _Kind("a list of texts", _is_texts)
_BOOLEAN = _Kind("true or false", lambda value: isinstance(value, bool))
_COUNT = _Kind("a whole number from 1", lambda value: _is_int(value) and value >= 1)
_PORT = _Kind("a port, 1 to 65535", lambda value: _is_int(value) and 1 <= value <= 65535)
_SECONDS = _Kind(
    "a number of seconds above 0",
    lambda value: (_is_int(value) or isinstance(value, float)) and value > 0,
)
_REFERENCE = _Kind(
    'a secret reference such as { env = "NAME" } or { file = "PATH" }',
    lambda value: isinstance(value, dict),
)
_STORE = _Kind(
    'a database URL without a password, "off", or a secret reference to a URL, such as { env = "NAME" }',
    _is_store,
)
_ADDRESSES = _Kind(
    'a table of names and secret references, such as ops = { env = "OPS_URL" }',
    lambda value: isinstance(value, dict) and all(isinstance(each, dict | str) for each in value.values()),
)
_REFERENCES = _Kind(
    'a list of secret references, such as [{ env = "NAME" }]',
    lambda value: isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value),
)
_SENDERS = _Kind(
    "a list of " + ", ".join(f'"{name}"' for name in SENDERS),
    lambda value: _is_texts(value) and bool(value) and set(value) <= set(SENDERS),
)
_UNSEEN = (_REFERENCE, _REFERENCES, _STORE, _ADDRESSES)
"""What is wrong with these may be that a secret is written out."""

_KINDS: Mapping[str, _Kind] = {
    "inventory": _TEXTS,
    "templates": _TEXT,
    "blackout": _TEXTS,
    "notify": _ADDRESSES,
    "time_zone": _Kind("an IANA time zone such as Europe/Berlin", _is_zone),
    "plain_secrets": _one_of("refuse", "allow"),
    "vault_password_files": _TEXTS,
    "concurrency_level": _COUNT,
    "parallel_invocations": _COUNT,
    "ssh_provider": _one_of("ssh", "ssh-processes", "ssh-threads", "ssh-stock"),
    "ssh_user": _TEXT,
    "ssh_port": _PORT,
    "password": _REFERENCE,
    "key_passphrase": _REFERENCE,
    "private_key_file": _TEXT,
    "agent": _BOOLEAN,
    "host_key_policy": _one_of("strict", "accept-new", "off"),
    "known_hosts_files": _TEXTS,
    "ssh_config_file": _TEXT,
    "effective_user": _TEXT,
    "effective_user_method": _one_of("sudo", "su", "dzdo", "doas", "run0"),
    "effective_user_password": _REFERENCE,
    "remote_working_dir": _Kind("an absolute path", lambda value: _TEXT.fits(value) and value[0] == "/"),
    "execution_timeout_interval": _COUNT,
    "connect_timeout": _SECONDS,
    "proxy_command": _one_of("refuse", "allow"),
    "run_programs": _BOOLEAN,
    "store": _STORE,
    "git": _Kind("a table [git]", lambda value: isinstance(value, dict)),
    "webhook": _Kind("a table, such as [webhook]", lambda value: isinstance(value, dict)),
}
_WEBHOOK_KINDS: Mapping[str, _Kind] = {
    "listen": _Kind("an address and a port, such as 127.0.0.1:8080", _is_listen),
    "path": _Kind(
        f"a path such as /hooks/git, and not {HEALTH_PATH}",
        lambda value: isinstance(value, str) and value != HEALTH_PATH and bool(_PATH.fullmatch(value)),
    ),
    "secrets": _REFERENCES,
    "senders": _SENDERS,
    "branch": _TEXT,
    "repository": _TEXT,
    "max_body": _Kind(
        f"a number of bytes, 1 to {MOST_BODY}", lambda value: _is_int(value) and 1 <= value <= MOST_BODY
    ),
    "window": _SECONDS,
}


def load_settings(root: Path) -> Settings:
    """Read the project's ``chargehand.toml``; a project without one has the defaults.

    Raises:
        SettingsError: The file cannot be read, is no TOML, or holds what is not understood.
    """
    path = root / FILE_NAME
    if not path.exists():
        return Settings(file=str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(Problem(f"cannot be read: {error}", Place(str(path)), rule="settings")) from None
    return read_settings(text, str(path))


def read_settings(text: str, file: str = FILE_NAME) -> Settings:
    """Turn the text of a ``chargehand.toml`` into `Settings`.

    Raises:
        SettingsError: With every problem found.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_syntax_problem(text, file, error)) from None
    problems = _check_all(values, text, file)
    if not problems and values.get("plain_secrets") != "allow":
        problems = _plain_addresses(values.get("notify", {}), text, file)
    remote = None
    if not problems and "git" in values:
        remote, problems = read_remote(values.pop("git"), _place("git", text, file))
    if problems:
        raise SettingsError(problems)
    fixed = _fixed(values)
    if "webhook" in fixed:
        fixed["webhook"] = WebhookSettings(**_fixed(fixed["webhook"]))
    return Settings(**fixed, git=remote, file=file)


def read_listen(text: str) -> tuple[str, int] | None:
    """The host and the port of ``HOST:PORT``; None when it is none."""
    if not _is_listen(text):
        return None
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _fixed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _plain_addresses(addresses: Mapping[str, object], text: str, file: str) -> list[Problem]:
    """The URLs of `notify` that are written out."""
    written = [name for name, url in addresses.items() if isinstance(url, str)]
    place = _unseen(_place("notify", text, file)) if written else None
    message = "`notify`: a URL holds secrets and must not stand in a file: `{}`"
    return [
        Problem(message.format(name), place, f'refer to it: {name} = {{ env = "NAME" }}', "settings")
        for name in written
    ]


def _check_all(values: Mapping[str, Any], text: str, file: str) -> list[Problem]:
    """What is wrong with any key, and with any key of a table."""
    found = [_check(key, value, _KINDS, lambda key: _place(key, text, file)) for key, value in values.items()]
    webhook = values.get("webhook")
    for key, value in webhook.items() if isinstance(webhook, dict) else ():
        found.append(
            _check(key, value, _WEBHOOK_KINDS, lambda key: _unseen(_place(key, text, file, "webhook")))
        )
    return [problem for problem in found if problem]


def _check(
    key: str, value: object, kinds: Mapping[str, _Kind], place_of: Callable[[str], Place]
) -> Problem | None:
    if key not in kinds:
        hint = did_you_mean(key, kinds) or "see docs/settings.md"
        return Problem(f"unknown setting `{key}`", place_of(key), hint, "settings")
    kind = kinds[key]
    if kind.fits(value):
        return None
    place = _unseen(place_of(key)) if kind in _UNSEEN else place_of(key)
    return Problem(f"`{key}` must be {kind.words}", place, rule="settings")


def _unseen(place: Place) -> Place:
    """The place without its line, which may hold a secret."""
    return replace(place, source=None)


def _place(key: str, text: str, file: str, table: str = "") -> Place:
    """The line where `key` is set, of a table if it is one's: TOML's parser keeps no positions."""
    name = rf"""["']?{re.escape(key)}["']?\s*[.=\]]"""
    begin = rf"(?:{table}\s*\.\s*)?" if table else r"(?:\[\s*)?"
    pattern = re.compile(rf"^\s*{begin}{name}")
    inside = not table
    for number, line in enumerate(text.splitlines(), 1):
        if table and line.lstrip().startswith("["):
            inside = re.match(rf"\s*\[\s*{table}\s*\]", line) is not None
        dotted = table and re.match(rf"\s*{table}\s*\.", line)
        if (inside or dotted) and pattern.match(line):
            return Place(file, number, line.index(key) + 1, line)
    return _place(table, text, file) if table else Place(file)


def _syntax_problem(text: str, file: str, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    if not found:
        return Problem(f"not TOML: {message}", Place(file), rule="settings")
    line, column = int(found[1]), int(found[2])
    lines = text.splitlines()
    source = lines[line - 1] if line <= len(lines) else ""
    return Problem(
        f"not TOML: {message[: found.start()].strip()}",
        Place(file, line, column, source),
        rule="settings",
    )
