"""``chargehand completion``."""

import click
from click.shell_completion import get_completion_class

from chargehand.cli import screen
from chargehand.cli.requests.setup import CompletionRequest
from chargehand.errors import UsageError

_VARIABLE = "_CHARGEHAND_COMPLETE"


def completion(request: CompletionRequest) -> int:
    """Print the completion script of a shell."""
    shell = get_completion_class(request.shell)
    if shell is None:
        raise UsageError(f"no completion for {request.shell}")
    screen.say(shell(click.Command("chargehand"), {}, "chargehand", _VARIABLE).source().rstrip())
    return 0
