"""Plan: a job invocation resolved against an inventory - its hosts in order, and what runs on each.

`plan` shows it and `run` runs it: there is no second way from an invocation to scripts. Nothing here
connects to anything.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from chargehand.connection import Become, ConnectionSettings
from chargehand.credentials import Credentials, Login
from chargehand.errors import InventoryError, NoHostMatchedError, PolicyError, Problem, UnknownHostError
from chargehand.frozen import frozen
from chargehand.host import Host
from chargehand.inventory import Inventory
from chargehand.inventory.connection import HostBecome, HostConnection
from chargehand.invocation import JobInvocation
from chargehand.render.renderer import Renderer
from chargehand.script import RenderedScript
from chargehand.secret import MASKED, Secret
from chargehand.settings import Settings
from chargehand.share import TemplateInvocation, Trouble
from chargehand.targeting import exclude, narrow, pick, resolve


@frozen
class Selection:
    """Which of the targeted hosts the command line keeps.

    Attributes:
        names: Exactly these hosts, in this order, in place of what the targeting looks up; only the
            location and organization of the job still count. None leaves it to the targeting.
        limit: A search query or host pattern; None keeps all.
        exclude: A search query or host pattern; None drops nobody.
    """

    names: tuple[str, ...] | None = None
    limit: str | None = None
    exclude: str | None = None


@frozen
class Access:
    """What the command line says about reaching hosts; stronger than job, host and setting.

    Attributes:
        password: For the ssh login.
        effective_user_password: For the switch of user.
        private_key_file: Path of a private key.
        effective_user: Who the scripts run as; an empty text means whoever logged in.
    """

    password: Secret | None = None
    effective_user_password: Secret | None = None
    private_key_file: str | None = None
    effective_user: str | None = None


NO_ACCESS = Access()
EVERY_HOST = Selection()
NO_CREDENTIALS = Credentials()


@frozen
class Plan:
    """What a job invocation does, host by host.

    Attributes:
        invocation: The job invocation.
        hosts: In the order in which they are started.
        template_invocations: One for each host, in that order.
        preview: Whether secrets are left out, so that it can be shown and cannot be run.
        troubles: What keeps scripts from being rendered, each with the hosts it concerns.
        warnings: What is allowed and yet hardly meant.
        missing: How many hosts were asked for by name and left out, since the inventory has them no more.
    """

    invocation: JobInvocation
    hosts: tuple[Host, ...]
    template_invocations: tuple[TemplateInvocation, ...]
    preview: bool = True
    troubles: Mapping[Problem, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    missing: int = 0


def choose_hosts(
    invocation: JobInvocation,
    inventory: Inventory,
    selection: Selection,
    *,
    now: datetime,
    shuffle: random.Random,
) -> tuple[Host, ...]:
    """The hosts of an invocation, in order, as far as the command line keeps them.

    Args:
        invocation: Whose hosts.
        inventory: Where a limit looks names up.
        selection: What the command line keeps.
        now: For dates in queries.
        shuffle: For a random order.

    Raises:
        SearchError: A limit is neither a query nor a pattern.
        UnknownHostError: Nobody whom the job sees has one of the names.
        NoHostMatchedError: Nobody is left, and the job does not allow that.
        PolicyError: More hosts than the job's ``max_targets``.
    """
    query, zone = invocation.targeting.search_query, invocation.targeting.time_zone
    if selection.names is None:
        hosts = resolve(invocation.targeting, inventory, now=now, shuffle=shuffle)
    else:
        hosts, missing = pick(selection.names, inventory, invocation.targeting.within)
        if missing:
            raise UnknownHostError(f"the job sees no host `{'`, `'.join(missing)}` in the inventory")
    check_matched(invocation, hosts)
    if selection.limit is not None:
        hosts = narrow(hosts, selection.limit, inventory, now=now, time_zone=zone)
    if selection.exclude is not None:
        hosts = exclude(hosts, selection.exclude, inventory, now=now, time_zone=zone)
    if not hosts and not invocation.allow_empty:
        raise NoHostMatchedError(f"the limit leaves none of the hosts that match `{query}`")
    check_allowed(invocation, hosts)
    return hosts


def check_matched(invocation: JobInvocation, hosts: Sequence[Host]) -> None:
    """Refuse that nobody is meant.

    Raises:
        NoHostMatchedError: There is no host, and the job does not allow that.
    """
    if not hosts and not invocation.allow_empty:
        query = invocation.targeting.search_query
        raise NoHostMatchedError(f"no host matches `{query}` (`allow_empty: true` would allow that)")


def check_allowed(invocation: JobInvocation, hosts: Sequence[Host]) -> None:
    """Refuse that too many are meant.

    Raises:
        PolicyError: More hosts than the job's ``max_targets``.
    """
    if invocation.max_targets is not None and len(hosts) > invocation.max_targets:
        query = invocation.targeting.search_query
        raise PolicyError(
            f"{len(hosts)} hosts match `{query}`; the job's max_targets is {invocation.max_targets}"
        )


def make_plan(
    invocation: JobInvocation,
    hosts: Sequence[Host],
    inventory: Inventory,
    renderer: Renderer,
    settings: Settings,
    *,
    access: Access = NO_ACCESS,
    credentials: Credentials | None = None,
) -> Plan:
    """Render every script and settle how every host is reached.

    A script that does not render is the trouble of its host alone; a connection variable that is not
    understood stops the plan, since it may lead to a wrong host.

    Args:
        invocation: What runs.
        hosts: On these, in this order.
        inventory: For the places of variables.
        renderer: Renders the scripts.
        settings: What holds when nothing else says.
        access: What the command line says.
        credentials: None makes a preview: secrets are masked.

    Raises:
        InventoryError: With every connection variable that is not understood.
    """
    known = credentials or NO_CREDENTIALS
    reach = _Reach(invocation, settings, access, known)
    values = input_values(invocation, known)
    scripts = renderer.render_all(invocation.template, values, hosts, preview=credentials is None)
    connections = inventory.connections(reach.defaults, allow_proxy_command=settings.proxy_command == "allow")
    shares: list[TemplateInvocation] = []
    problems: list[Problem] = []
    warnings: dict[Problem, None] = {}
    for host, script in zip(hosts, scripts, strict=True):
        try:
            connection = connections.of(host)
        except InventoryError as error:
            problems += error.problems
            continue
        warnings |= dict.fromkeys(connection.warnings)
        shares.append(reach.share(host, connection, script))
    if any(problem.severity == "error" for problem in problems):
        raise InventoryError(problems)
    return Plan(
        invocation=invocation,
        hosts=tuple(hosts),
        template_invocations=tuple(shares),
        preview=credentials is None,
        troubles=_troubles(hosts, scripts),
        warnings=tuple(warnings),
    )


def input_values(
    invocation: JobInvocation, credentials: Credentials = NO_CREDENTIALS
) -> dict[str, str | Secret]:
    """What the inputs of an invocation are rendered with; a hidden one that is not known is masked."""
    hidden = {name: credentials.inputs.get(name, Secret(MASKED)) for name in invocation.secrets.inputs}
    return {**invocation.inputs, **hidden}


def _troubles(hosts: Sequence[Host], scripts: Sequence[str | Problem]) -> dict[Problem, tuple[str, ...]]:
    found: dict[Problem, list[str]] = {}
    for host, script in zip(hosts, scripts, strict=True):
        if isinstance(script, Problem):
            found.setdefault(script, []).append(host.name)
    return {problem: tuple(names) for problem, names in found.items()}


class _Reach:
    """How the hosts of one run are reached: command line, job, host and settings, in that order."""

    def __init__(
        self, invocation: JobInvocation, settings: Settings, access: Access, credentials: Credentials
    ) -> None:
        self._invocation = invocation
        self._settings = settings
        self._access = access
        self._credentials = credentials
        self._secrets = credentials.all()
        self.defaults = connection_defaults(settings, credentials.settings)

    def share(self, host: Host, connection: HostConnection, script: str | Problem) -> TemplateInvocation:
        """One host's share of the invocation."""
        job, access = self._credentials.job, self._access
        own = connection.settings
        said = {
            "user": self._invocation.ssh_user,
            "password": access.password or job.password,
            "key_passphrase": job.key_passphrase,
            "private_key_file": access.private_key_file,
        }
        over: dict[str, Any] = {name: value for name, value in said.items() if value}
        settings = replace(own, **over) if over else own
        become = self._become(settings, connection.become)
        used = (settings.password, settings.key_passphrase, settings.private_key, become and become.password)
        return TemplateInvocation(
            host=host.name,
            host_id=host.id,
            settings=settings,
            script=None if isinstance(script, Problem) else self._script(script, become),
            trouble=Trouble(script.rule, str(script).splitlines()[0])
            if isinstance(script, Problem)
            else None,
            secrets=tuple(dict.fromkeys((*self._secrets, *(secret for secret in used if secret)))),
        )

    def _script(self, text: str, become: Become | None) -> RenderedScript:
        invocation = self._invocation
        return RenderedScript(
            content=text.encode(),
            become=become,
            timeout_s=invocation.execution_timeout_interval or self._settings.execution_timeout_interval,
            idle_timeout_s=invocation.idle_timeout_s,
        )

    def _become(self, settings: ConnectionSettings, host: HostBecome) -> Become | None:
        """The switch of user; none when the effective user is the one who logs in."""
        asked = self._access.effective_user
        if asked is None:
            asked = self._invocation.effective_user
        if asked is None:
            asked = "" if host.enabled is False else host.user or self._settings.effective_user
        if not asked or asked == settings.user:
            return None
        password = (
            self._access.effective_user_password
            or self._credentials.job.effective_user_password
            or host.password
            or self._credentials.settings.effective_user_password
        )
        return Become(
            user=asked,
            method=host.method or self._settings.effective_user_method,
            password=password,
            executable=host.executable,
            flags=host.flags or (),
        )


def connection_defaults(settings: Settings, login: Login) -> ConnectionSettings:
    """What the settings say about every host."""
    usual = ConnectionSettings(address="")
    return replace(
        usual,
        provider=settings.ssh_provider,
        port=settings.ssh_port,
        user=settings.ssh_user,
        password=login.password,
        key_passphrase=login.key_passphrase,
        private_key_file=settings.private_key_file,
        agent=settings.agent,
        host_key_policy=settings.host_key_policy,
        known_hosts_files=settings.known_hosts_files or usual.known_hosts_files,
        ssh_config_file=settings.ssh_config_file,
        connect_timeout_s=settings.connect_timeout,
        work_folders=(settings.remote_working_dir,) if settings.remote_working_dir else (),
    )
