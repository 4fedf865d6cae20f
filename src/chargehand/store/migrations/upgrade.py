"""Upgrade: alembic, told where our migrations are and which connection they use."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configured(connection: Connection | None = None) -> Config:
    """Alembic's settings; there is no ini file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version."""
    command.upgrade(configured(connection), "head")
