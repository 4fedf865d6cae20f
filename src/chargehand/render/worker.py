"""The worker: a process that renders what it is told to, within limits, and can do nothing else.

It is started by `chargehand.render.renderer` with one socket as its standard input, and ends when that is
closed. A render that breaks a limit ends the process; the renderer starts another.
"""

import os
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from chargehand.host import Host
from chargehand.render import frame
from chargehand.render.diagnosis import diagnose
from chargehand.render.environment import Library, Sandbox
from chargehand.render.rendering import OutputLimitError, Recipe, Rendering, Subject, magic_names
from chargehand.render.undefined import Withheld

Answer = dict[str, Any]


class Worker:
    """What one worker process knows: the templates, the inventory if it is needed, and what to render."""

    def __init__(self) -> None:
        self._recipes: dict[str, Recipe] = {}
        self._all_hosts: Mapping[str, object] = {}
        self._output_bytes = 0

    def answers(self, request: Mapping[str, Any]) -> Iterator[Answer]:
        """Do what a request asks for: `setup`, `inventory`, `prepare`, or `render` with an answer a host."""
        if request["step"] == "render":
            yield from map(self._render, request["hosts"])
            return
        steps = {"setup": self._setup, "inventory": self._add_inventory, "prepare": self._prepare}
        yield steps[request["step"]](request)

    def _setup(self, request: Mapping[str, Any]) -> Answer:
        self._recipes = {each["name"]: Recipe(**each) for each in request["recipes"]}
        self._shared = _sandbox(self._recipes)
        self._output_bytes = request["output_bytes"]
        return {}

    def _add_inventory(self, request: Mapping[str, Any]) -> Answer:
        groups = request["groups"]
        hostvars = {
            host.name: {**host.vars, **magic_names(host), "groups": groups}
            for host in (Host(**each) for each in request["hosts"])
        }
        self._all_hosts = {"groups": groups, "hostvars": hostvars}
        return {}

    def _prepare(self, request: Mapping[str, Any]) -> Answer:
        self._recipe = Recipe(**request["recipe"])
        self._values = request["values"]
        self._preview = request["preview"]
        self._known = self._recipes
        self._sandbox = self._shared
        if self._recipes.get(self._recipe.name) != self._recipe:
            self._known = {**self._recipes, self._recipe.name: self._recipe}
            self._sandbox = _sandbox(self._known)
        try:
            self._sandbox.get_template(self._recipe.name)
        except Exception as error:  # noqa: BLE001 - a template can make Python raise anything
            return {"finding": diagnose(error, self._recipe, self._known)}
        return {}

    def _render(self, host: dict[str, Any] | None) -> Answer:
        subject = self._subject(host)
        rendering = Rendering(self._sandbox, self._known, subject, self._recipe, self._values)
        try:
            return {"script": self._checked(rendering.render())}
        except Exception as error:  # noqa: BLE001 - a template can make Python raise anything
            return {"finding": diagnose(error, self._recipe, self._known, rendering.names())}

    def _subject(self, given: dict[str, Any] | None) -> Subject:
        host = None if given is None else Host(**given)
        variables = {} if host is None else {**host.vars, **magic_names(host), **self._all_hosts}
        return Subject(host=host, vars=variables, preview=self._preview, output_bytes=self._output_bytes)

    def _checked(self, script: str) -> str:
        if "\0" in script:
            raise ValueError("the script holds a NUL, which no shell can read")
        if len(script.encode()) > self._output_bytes:
            raise OutputLimitError
        return script


def _sandbox(recipes: Mapping[str, Recipe]) -> Sandbox:
    """A sandbox that knows these templates, and compiles each of them once."""
    return Sandbox(Library({name: (each.source, each.file) for name, each in recipes.items()}))


def limit_for_ever(memory_bytes: int) -> None:
    """Take away memory, core dumps and files to write."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_next(cpu_s: int) -> None:
    """Give the next answer `cpu_s` more seconds of processor time; beyond that the kernel ends us."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime) + cpu_s + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def main(memory_bytes: int, cpu_s: int) -> None:
    """Answer requests from standard input until it is closed."""
    limit_for_ever(memory_bytes)
    worker = Worker()
    # The end of who asks, which may come by force, is ours.
    with socket.socket(fileno=os.dup(0)) as link, suppress(EOFError, ConnectionError):
        while True:
            payload = frame.read(link.recv)
            limit_next(cpu_s)
            try:
                for answer in worker.answers(frame.decode(payload, Withheld)):
                    link.sendall(frame.encode(answer))
                    limit_next(cpu_s)
            except MemoryError:
                os._exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
