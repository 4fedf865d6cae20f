"""Renderer: scripts for hosts, rendered in a limited worker process that is replaced when it breaks it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from chargehand.errors import ChargehandError, Place, Problem, TemplateError
from chargehand.host import Host
from chargehand.render import frame
from chargehand.render.limits import RenderLimits
from chargehand.secret import MASKED, Secret
from chargehand.template import JobTemplate, Templates

InputValues = Mapping[str, "str | Secret"]

_NEEDS_INVENTORY = ("hostvars", "groups")
# What the interpreter may need to start at all; nothing else of the environment reaches the worker.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH", "LANG")
_START_TIMEOUT_S = 30.0
_SHOWN = 300


class WorkerLostError(Exception):
    """The worker ended, or did not answer in time; says why."""


class Renderer:
    """Renders job templates for hosts; a context manager, used from one thread.

    The worker is started at the first render.

    Args:
        templates: Every template that may be rendered or named by another.
        hosts: The whole inventory in order, for ``hostvars`` and ``groups``.
        groups: Host names by group; None makes them from the groups of `hosts`.
        limits: What a render may cost.
    """

    def __init__(
        self,
        templates: Templates,
        hosts: Sequence[Host] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
        limits: RenderLimits | None = None,
    ) -> None:
        self._templates = templates
        self._hosts = hosts
        self._groups = groups
        self._limits = limits or RenderLimits()
        self._spent_s = 0.0
        self._renders = 0
        self._worker: _WorkerProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def render(
        self, template: JobTemplate, inputs: InputValues, host: Host | None, *, preview: bool = False
    ) -> str:
        """The script of one host; in a preview secrets are masked and placeholders stand for what is missing.

        Args:
            template: What to render.
            inputs: Values of its own and foreign inputs, defaults filled in.
            host: May be None in a preview.
            preview: Whether the script is to be looked at, not run.

        Raises:
            TemplateError: It does not render for this host.
        """
        result = next(self._results(template, inputs, [host], preview=preview))
        if isinstance(result, Problem):
            raise TemplateError(result)
        return result

    def render_all(
        self, template: JobTemplate, inputs: InputValues, hosts: Iterable[Host], *, preview: bool = False
    ) -> list[str | Problem]:
        """The script of every host in order, or what is wrong with it there."""
        return list(self._results(template, inputs, hosts, preview=preview))

    def _results(
        self, template: JobTemplate, inputs: InputValues, hosts: Iterable[Host | None], *, preview: bool
    ) -> Iterator[str | Problem]:
        hidden = {each.name for each in self._templates.inputs_of(template) if each.hidden_value}
        task = _Task(template, inputs, hidden, preview=preview)
        prepared, refusal = False, None
        for host in hosts:
            if not prepared:
                refusal = self._prepare(task)
                prepared = True
            result = refusal or self._ask({"step": "render", "host": _host(host)}, task)
            prepared = refusal is not None or self._worker is not None
            yield result

    def _prepare(self, task: "_Task") -> Problem | None:
        """Have the worker compile a template; None when it did."""
        if self._worker is None:
            self._worker = self._start()
        if self._needs_inventory(task.template) and not self._worker.has_inventory:
            self._worker.has_inventory = True
            refusal = self._ask({"step": "inventory", **self._inventory()}, task)
            if isinstance(refusal, Problem):
                return refusal
        recipe = _recipe(task.template, self._templates)
        request = {"step": "prepare", "recipe": recipe, "values": task.values(), "preview": task.preview}
        answer = self._ask(request, task)
        return answer if isinstance(answer, Problem) else None

    def _ask(self, request: Mapping[str, Any], task: "_Task") -> str | Problem:
        """Send a request and read its answer: a script (empty but for a render) or a problem."""
        self._renders += 1
        allowed_s = self._limits.total_s + self._limits.each_s * self._renders
        left_s = allowed_s - self._spent_s
        if left_s <= 0 or self._worker is None:
            return task.problem(f"rendering has taken more than {allowed_s:.0f} s", "render-limit")
        try:
            payload = frame.encode(request)
        except frame.NotPlainError as error:
            return task.problem(str(error), "render")
        began = time.monotonic()
        try:
            answer = self._worker.ask(payload, min(left_s, self._limits.wall_s))
        except WorkerLostError as error:
            self.close()
            return task.problem(str(error), "render-limit")
        finally:
            self._spent_s += time.monotonic() - began
        if "finding" not in answer:
            return str(answer.get("script", ""))
        problem = task.found(answer["finding"])
        if problem.rule == "render-limit":
            self.close()
        return problem

    def _start(self) -> "_WorkerProcess":
        worker = _WorkerProcess(self._limits)
        recipes = [_recipe(template, self._templates) for template in self._templates]
        request = {"step": "setup", "recipes": recipes, "output_bytes": self._limits.output_bytes}
        try:
            worker.ask(frame.encode(request), _START_TIMEOUT_S)
        except WorkerLostError as error:
            worker.close()
            raise ChargehandError(f"the render worker did not start: {error}") from error
        return worker

    def _needs_inventory(self, template: JobTemplate) -> bool:
        bodies = [template.body, *(each.body for each in self._templates)]
        return any(name in body for name in _NEEDS_INVENTORY for body in bodies)

    def _inventory(self) -> dict[str, Any]:
        groups: Mapping[str, Sequence[str]] | None = self._groups
        if groups is None:
            members: dict[str, list[str]] = {"all": [], "ungrouped": []}
            for host in self._hosts:
                for group in ("all", *host.groups):
                    members.setdefault(group, []).append(host.name)
            groups = members
        return {"groups": groups, "hosts": [_host(host) for host in self._hosts]}


class _Task:
    """A template with its input values, and the words for what goes wrong with it."""

    def __init__(
        self, template: JobTemplate, inputs: InputValues, hidden: Collection[str], *, preview: bool
    ) -> None:
        self.template = template
        self.preview = preview
        self._inputs = inputs
        self._hidden = hidden

    def values(self) -> dict[str, str]:
        """Input values as text: secrets as they are for a script that runs, masked for a preview."""
        return {name: self._text(name, value) for name, value in self._inputs.items()}

    def problem(self, message: str, rule: str) -> Problem:
        """A problem with the whole template."""
        return Problem(f"template `{self.template.name}`: {message}", Place(self.template.file), rule=rule)

    def found(self, finding: Mapping[str, Any]) -> Problem:
        """A problem that the worker found; a secret that an error quotes is masked."""
        message, hint = self._masked(finding["message"]), self._masked(finding["hint"] or "")
        place = Place(finding["file"], finding["line"])
        return Problem(f"template `{self.template.name}`: {message}", place, hint or None, finding["rule"])

    def _text(self, name: str, value: str | Secret) -> str:
        if self.preview and (name in self._hidden or isinstance(value, Secret)):
            return MASKED
        return value if isinstance(value, str) else value.reveal()

    def _masked(self, message: str) -> str:
        for name, value in self._inputs.items():
            if value and (name in self._hidden or isinstance(value, Secret)):
                secret = value if isinstance(value, str) else value.reveal()
                message = message.replace(secret, MASKED)
        return message if len(message) <= _SHOWN else message[: _SHOWN - 1] + "…"


class _WorkerProcess:
    """One worker process and the socket to it."""

    def __init__(self, limits: RenderLimits) -> None:
        self._limits = limits
        self.has_inventory = False
        self._link, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
                [
                    sys.executable,
                    *("-I", "-B", "-X", "utf8", "-m", "chargehand.render.worker"),
                    str(limits.memory_bytes),
                    str(limits.cpu_s),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,  # an interrupt from the keyboard is for us, not for it
            )

    def ask(self, request: bytes, timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            WorkerLostError: There is none.
        """
        deadline = time.monotonic() + timeout_s

        def receive(size: int) -> bytes:
            self._link.settimeout(max(deadline - time.monotonic(), 0.001))
            return self._link.recv(size)

        try:
            self._link.settimeout(timeout_s)
            self._link.sendall(request)
            return frame.decode(frame.read(receive))
        except TimeoutError as error:
            raise WorkerLostError(f"rendering takes more than {timeout_s:g} s") from error
        except (OSError, EOFError) as error:
            raise WorkerLostError(self._obituary()) from error

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.kill()
        self._process.wait()

    def _obituary(self) -> str:
        """Why the process ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return f"rendering takes more than {self._limits.cpu_s} s of processor time"
        if status == os.EX_TEMPFAIL:
            return "rendering takes more memory than the limit"
        ending = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        return f"rendering ended the worker process with {ending}"


def _host(host: Host | None) -> dict[str, Any] | None:
    """What the worker needs of a host; the arguments of `Host`."""
    if host is None:
        return None
    return {"name": host.name, "id": host.id, "groups": host.groups, "vars": host.vars}


def _recipe(template: JobTemplate, templates: Templates) -> dict[str, Any]:
    """What the worker needs of a template; the arguments of `chargehand.render.rendering.Recipe`."""
    # a script in place may be called what a template is called, and still name that template
    name = template.name if template in templates else f"script of {template.name}"
    return {
        "name": name,
        "file": template.file,
        "source": template.source,
        "snippet": template.snippet,
        "inputs": {
            each.name: {
                "type": each.input_type,
                "source": each.fact_name or each.variable_name,
                "required": each.required,
                "default": each.default,
            }
            for each in templates.inputs_of(template)
        },
        "inherited": templates.inherited_by(template),
    }
