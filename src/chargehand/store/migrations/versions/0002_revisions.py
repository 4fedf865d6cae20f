"""What git drives: the commit in force of a tracked repository, who signed it, and what a push started."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "revision",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("signer", sa.Text(), nullable=True),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("tried_commit", sa.String(length=64), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.add_column("job_invocation", sa.Column("signer", sa.Text(), nullable=True))
    op.add_column("job_invocation", sa.Column("push_key", sa.Text(), nullable=True))
    op.create_index("job_invocation_push_key", "job_invocation", ["push_key"], unique=True)
