"""Command: a click command whose parameters are declared here and whose work is imported when it runs.

``--help`` and completion must answer at once, so a declaration imports nothing but click. It names a
request - a small frozen dataclass with one field for every parameter - and the function, in a module of
its own, that answers such a request with an exit code.
"""

import gc
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click


class StdoutClosedError(Exception):
    """Nobody reads stdout any more; a kind of its own, because click ends with 1 on a broken pipe."""


class Command(click.Command):
    """A declared command.

    Args:
        name: What users type.
        request: ``module:Class`` below `chargehand.cli.requests`, made of the parsed parameters.
        answer: ``module:function`` below `chargehand.cli`, called with the request.
        params: Options and arguments.
        help: First line, then paragraphs; lines after a backspace line are kept as written.
    """

    def __init__(
        self,
        name: str,
        *,
        request: str,
        answer: str,
        params: Sequence[click.Parameter],
        help: str,
    ) -> None:
        super().__init__(name, params=[*params, traceback_option()], help=help)
        self.request = request
        self.answer = answer

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Make the request and have it answered; the exit code."""
        answer, request = find(self.answer), find(f"requests.{self.request}")
        gc.freeze()  # what was imported stays: it need not be walked again and again
        try:
            return answer(request(**ctx.params))
        except BrokenPipeError:
            raise StdoutClosedError from None


def find(named: str) -> Any:  # noqa: ANN401 - a function, or the class of a request
    """What ``module:name`` below `chargehand.cli` names."""
    module, _, name = named.partition(":")
    return getattr(import_module(f"chargehand.cli.{module}"), name)


def traceback_option() -> click.Option:
    """``--traceback``: tell the whole story of an unexpected error."""
    return click.Option(
        ["--traceback"],
        is_flag=True,
        expose_value=False,
        callback=_remember_traceback,
        help="Show the traceback of an unexpected error.",
    )


def _remember_traceback(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(dict)["traceback"] = True
