"""The surface: every command, its parameters and its help. Light on purpose; see `command`."""

import click

from chargehand.cli.surface.checking import PLAN, RENDER, VALIDATE
from chargehand.cli.surface.following import STATUS, SYNC
from chargehand.cli.surface.history import CANCEL, DIFF, LIST, OUTPUT, PRUNE, RERUN, RESUME, SHOW
from chargehand.cli.surface.looking import BOOKMARKS, FEATURES, HOSTS, SCHEMA, TEMPLATES
from chargehand.cli.surface.running import EXEC, RUN
from chargehand.cli.surface.scheduling import SCHEDULE, SERVE, TICK
from chargehand.cli.surface.setup import COMPLETION, DOCTOR, INIT, LAB

COMMANDS: tuple[click.Command, ...] = (
    RUN,
    EXEC,
    LIST,
    SHOW,
    OUTPUT,
    DIFF,
    CANCEL,
    RERUN,
    RESUME,
    PRUNE,
    SYNC,
    STATUS,
    TICK,
    SERVE,
    SCHEDULE,
    VALIDATE,
    PLAN,
    RENDER,
    HOSTS,
    TEMPLATES,
    FEATURES,
    BOOKMARKS,
    SCHEMA,
    INIT,
    LAB,
    DOCTOR,
    COMPLETION,
)
