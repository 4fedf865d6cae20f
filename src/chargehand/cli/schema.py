"""``chargehand schema`` and ``schema build``."""

from pathlib import Path

import click

from chargehand.cli import screen
from chargehand.cli.requests.looking import SchemaRequest
from chargehand.errors import SchemaError, UsageError
from chargehand.parameters import build, check
from chargehand.schema import schema_path


def schema(request: SchemaRequest) -> int:
    """Print the schema, derive it anew, or check that it is what would be derived."""
    if request.action is None:
        if request.check:
            raise UsageError("--check goes with `schema build`")
        click.echo(schema_path().read_text(encoding="utf-8"), nl=False)
        return 0
    root = Path()
    if not (root / "schemas" / "params.yml").is_file():
        raise UsageError("`schema build` derives from schemas/params.yml, and there is none here")
    if request.check:
        problems = check(root)
        if problems:
            raise SchemaError(problems)
        screen.note("schema and documentation are up to date")
        return 0
    for path in build(root):
        screen.say(str(path))
    return 0
