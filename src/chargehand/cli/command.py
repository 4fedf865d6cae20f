"""Command: a click command whose parameters are declared here and whose work is imported when it runs.

``--help`` and completion must answer at once, so a declaration imports nothing but click. It names a
request - a small frozen dataclass with one field for every parameter - and the function, in a module of
its own, that answers such a request with an exit code.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click


class StdoutClosedError(Exception):
    """Nobody reads stdout any more; a kind of its own, because click ends with 1 on a broken pipe."""


class Command(click.Command):
    """A declared command.

    Args:
        name: What users type.
        request: Dataclass made of the parsed parameters.
        answer: ``module:function`` below `chargehand.cli`, called with the request.
        params: Options and arguments.
        help: First line, then paragraphs; lines after a backspace line are kept as written.
    """

    def __init__(
        self,
        name: str,
        *,
        request: Callable[..., object],
        answer: str,
        params: Sequence[click.Parameter],
        help: str,
    ) -> None:
        super().__init__(name, params=[*params, traceback_option()], help=help)
        self.request = request
        self.answer = answer

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Make the request and have it answered; the exit code."""
        module, _, function = self.answer.partition(":")
        answer = getattr(import_module(f"chargehand.cli.{module}"), function)
        try:
            return answer(self.request(**ctx.params))
        except BrokenPipeError:
            raise StdoutClosedError from None


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
