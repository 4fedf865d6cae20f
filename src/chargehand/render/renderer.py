"""Renderer: scripts for hosts, rendered in a limited worker process that is replaced when it breaks it."""

import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Self

from chargehand.errors import ChargehandError, Place, Problem, TemplateError
from chargehand.host import Host
from chargehand.render import frame
from chargehand.render.kinds import Kinds
from chargehand.render.limits import RenderLimits
from chargehand.render.process import WorkerLostError, WorkerProcess
from chargehand.secret import MASKED, Secret
from chargehand.template import JobTemplate, Templates

InputValues = Mapping[str, "str | Secret"]

_NEEDS_INVENTORY = ("hostvars", "groups")
_FOR_THE_WORKER = ("{{", "{%", "{#", "\r", "\0")
_LIMIT = "render-limit"
_BATCH = 64
_BATCH_BYTES = 256 * 1024
_REMEMBERED_BYTES = 16 * 1024 * 1024
_START_TIMEOUT_S = 30.0
_SHOWN = 300


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
        self._worker: WorkerProcess | None = None
        self._prepared: _Task | None = None
        self._kinds = Kinds(templates)
        self._words = _Words()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = self._prepared = None

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
        (result,) = self._render_each(self._task(template, inputs, preview=preview), [host])
        if isinstance(result, Problem):
            raise TemplateError(result)
        return result

    def render_all(
        self, template: JobTemplate, inputs: InputValues, hosts: Iterable[Host], *, preview: bool = False
    ) -> list[str | Problem]:
        """The script of every host in order, or what is wrong with it there.

        In a preview, hosts that are alike in everything that the template can read are rendered once; what
        runs is rendered for each. The words of a problem may say more of a host than that, so that a host
        with a problem is rendered by itself.
        """
        hosts = list(hosts)
        task = self._task(template, inputs, preview=preview)
        kinds = self._kinds.of(template, hosts) if preview else list(range(len(hosts)))
        first: dict[object, int] = {}
        leaders = [first.setdefault(kind, number) for number, kind in enumerate(kinds)]
        results: dict[int, str | Problem] = {}
        results |= self._render_some(task, hosts, list(first.values()))
        troubled = [
            number
            for number, leader in enumerate(leaders)
            if number != leader and isinstance(results[leader], Problem)
        ]
        results |= self._render_some(task, hosts, troubled)
        return [results[number if number in results else leader] for number, leader in enumerate(leaders)]

    def kinds(self, template: JobTemplate, hosts: Sequence[Host]) -> list[object]:
        """What is equal for hosts that the template cannot tell apart, of every host."""
        return self._kinds.of(template, hosts)

    def _render_some(
        self, task: "_Task", hosts: Sequence[Host], numbers: Sequence[int]
    ) -> Iterable[tuple[int, str | Problem]]:
        return zip(numbers, self._render_each(task, [hosts[number] for number in numbers]), strict=True)

    def _task(self, template: JobTemplate, inputs: InputValues, *, preview: bool) -> "_Task":
        if (last := self._prepared) is not None and last.is_of(template, inputs, preview=preview):
            return last
        hidden = {each.name for each in self._templates.inputs_of(template) if each.hidden_value}
        return _Task(template, inputs, hidden, preview=preview)

    def _render_each(self, task: "_Task", hosts: Sequence[Host | None]) -> list[str | Problem]:
        """The result of every host, rendered by itself; the worker is told of many hosts at once."""
        if self._is_plain(task.template):
            return [task.template.body] * len(hosts)
        results: dict[int, str | Problem] = {}
        batches = self._batches(task, hosts, results)
        waiting = deque(islice(batches, 1))
        while waiting:
            refusal = self._make_ready(task)
            if refusal is not None:
                return [results.get(number, refusal) for number in range(len(hosts))]
            batch = waiting.popleft()
            sent = self._send(b'{"step":"render","hosts":[%s]}' % b",".join(batch.values()), task)
            waiting.extend(islice(batches, 1))  # put into words while the worker renders
            for number in list(batch):
                results[number] = sent or self._receive(task)
                del batch[number]
                if self._worker is None:
                    break
            if batch:
                waiting.appendleft(batch)
        return [results[number] for number in range(len(hosts))]

    def _is_plain(self, template: JobTemplate) -> bool:
        """Whether a template is its own script: nothing in it is for Jinja, or for the worker to refuse."""
        body = template.body
        if any(mark in body for mark in _FOR_THE_WORKER):
            return False
        try:
            return len(body.encode()) <= self._limits.output_bytes
        except UnicodeEncodeError:
            return False

    def _batches(
        self, task: "_Task", hosts: Sequence[Host | None], results: dict[int, str | Problem]
    ) -> Iterator[dict[int, bytes]]:
        """The hosts by number, in words for the worker; one that cannot be put so has its result at once."""
        batch: dict[int, bytes] = {}
        size_bytes = 0
        for number, host in enumerate(hosts):
            try:
                text = self._words.of(host)
            except frame.NotPlainError as error:
                results[number] = task.problem(str(error), "render")
                continue
            batch[number] = text
            size_bytes += len(text)
            if len(batch) == _BATCH or size_bytes > _BATCH_BYTES:
                yield batch
                batch, size_bytes = {}, 0
        if batch:
            yield batch

    def _make_ready(self, task: "_Task") -> Problem | None:
        """Have the worker compile a template, unless it has; None when it did."""
        refusal = self._out_of_time(task)
        if refusal is not None or (self._worker is not None and self._prepared is task):
            return refusal
        if self._worker is None:
            self._worker = self._start()
        if self._needs_inventory(task.template) and not self._worker.has_inventory:
            self._worker.has_inventory = True
            refusal = self._ask({"step": "inventory", **self._inventory()}, task)
        if refusal is None:
            recipe = _recipe(task.template, self._templates)
            request = {"step": "prepare", "recipe": recipe, "values": task.values(), "preview": task.preview}
            refusal = self._ask(request, task)
        self._prepared = task if refusal is None else None
        return refusal

    def _ask(self, request: Mapping[str, Any], task: "_Task") -> Problem | None:
        """Have the worker do something that makes no script; None when it did."""
        try:
            refusal = self._send(frame.text(request), task)
        except frame.NotPlainError as error:
            return task.problem(str(error), "render")
        if refusal is not None:
            return refusal
        answer = self._receive(task)
        return answer if isinstance(answer, Problem) else None

    def _send(self, request: bytes, task: "_Task") -> Problem | None:
        """Send a request; the problem when the worker does not take it."""
        if self._worker is None:
            return self._out_of_time(task) or task.problem("rendering ended the worker process", _LIMIT)
        try:
            self._worker.send(frame.framed(request), self._limits.wall_s)
        except WorkerLostError as error:
            self.close()
            return task.problem(str(error), _LIMIT)
        return None

    def _receive(self, task: "_Task") -> str | Problem:
        """The next answer: a script (empty but for a render) or a problem."""
        self._renders += 1
        refusal = self._out_of_time(task)
        if refusal is not None or self._worker is None:
            self.close()
            return refusal or task.problem("rendering ended the worker process", _LIMIT)
        began = time.monotonic()
        try:
            answer = self._worker.receive(min(self._left_s, self._limits.wall_s))
        except WorkerLostError as error:
            self.close()
            return task.problem(str(error), _LIMIT)
        finally:
            self._spent_s += time.monotonic() - began
        if "finding" not in answer:
            return str(answer.get("script", ""))
        problem = task.found(answer["finding"])
        if problem.rule == _LIMIT:
            self.close()
        return problem

    @property
    def _allowed_s(self) -> float:
        return self._limits.total_s + self._limits.each_s * self._renders

    @property
    def _left_s(self) -> float:
        return self._allowed_s - self._spent_s

    def _out_of_time(self, task: "_Task") -> Problem | None:
        if self._left_s > 0:
            return None
        return task.problem(f"rendering has taken more than {self._allowed_s:.0f} s", _LIMIT)

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self._limits)
        recipes = [_recipe(template, self._templates) for template in self._templates]
        request = {"step": "setup", "recipes": recipes, "output_bytes": self._limits.output_bytes}
        try:
            worker.send(frame.encode(request), _START_TIMEOUT_S)
            worker.receive(_START_TIMEOUT_S)
        except WorkerLostError as error:
            worker.close()
            raise ChargehandError(f"the render worker did not start: {error}") from error
        return worker

    def _needs_inventory(self, template: JobTemplate) -> bool:
        return _names_inventory(template) or self._library_needs_inventory

    @cached_property
    def _library_needs_inventory(self) -> bool:
        return any(map(_names_inventory, self._templates))

    def _inventory(self) -> dict[str, Any]:
        groups: Mapping[str, Sequence[str]] | None = self._groups
        if groups is None:
            members: dict[str, list[str]] = {"all": [], "ungrouped": []}
            for host in self._hosts:
                for group in ("all", *host.groups):
                    members.setdefault(group, []).append(host.name)
            groups = members
        return {"groups": groups, "hosts": [_host(host) for host in self._hosts]}


class _Words:
    """What the worker is told of hosts, remembered for the jobs that are about the same ones."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Host, bytes]] = {}
        self._size_bytes = 0

    def of(self, host: Host | None) -> bytes:
        """The JSON text of a host.

        Raises:
            NotPlainError: A value of the host is no plain data.
        """
        if host is None:
            return b"null"
        known = self._known.get(host.name)
        if known is not None and known[0] is host:
            return known[1]
        text = frame.text(_host(host), "host")
        if self._size_bytes < _REMEMBERED_BYTES:
            self._known[host.name] = host, text
            self._size_bytes += len(text)
        return text


class _Task:
    """A template with its input values, and the words for what goes wrong with it."""

    def __init__(
        self, template: JobTemplate, inputs: InputValues, hidden: Collection[str], *, preview: bool
    ) -> None:
        self.template = template
        self.preview = preview
        self._inputs = inputs
        self._hidden = hidden

    def is_of(self, template: JobTemplate, inputs: InputValues, *, preview: bool) -> bool:
        """Whether it is the same task; the very same values, which may be secrets."""
        return self.template is template and self._inputs is inputs and self.preview is preview

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


def _names_inventory(template: JobTemplate) -> bool:
    return any(name in template.body for name in _NEEDS_INVENTORY)


def _host(host: Host) -> dict[str, Any]:
    """What the worker needs of a host; the arguments of `Host`."""
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
