"""The first tables: runners, recurring logics, job invocations, template invocations, their outputs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "recurring_logic",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=False),
        sa.Column("job_number", sa.Integer(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("cron_line", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("max_iteration", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("start_at", sa.BigInteger(), nullable=True),
        sa.Column("start_before", sa.BigInteger(), nullable=True),
        sa.Column("overlap", sa.String(length=16), nullable=False),
        sa.Column("catch_up_runs", sa.String(length=8), nullable=False),
        sa.Column("catch_up_window_s", sa.Float(), nullable=False),
        sa.Column("jitter_s", sa.Float(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_until", sa.BigInteger(), nullable=False),
        sa.Column("paused_until", sa.BigInteger(), nullable=True),
        sa.Column("last_occurrence", sa.BigInteger(), nullable=True),
        sa.Column("hosts", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "runner",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("lock_file", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "job_invocation",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("job_category", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("status_label", sa.String(length=16), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=True),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=True),
        sa.Column("start_before", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("search_query", sa.Text(), nullable=True),
        sa.Column("targeting_type", sa.String(length=16), nullable=False),
        sa.Column("bookmark_id", sa.BigInteger(), nullable=True),
        sa.Column("bookmark_name", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("randomized_ordering", sa.Boolean(), nullable=True),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.Column("cancelled", sa.Integer(), nullable=True),
        sa.Column("ssh_user", sa.Text(), nullable=True),
        sa.Column("time_to_pickup", sa.BigInteger(), nullable=True),
        sa.Column("concurrency_level", sa.BigInteger(), nullable=True),
        sa.Column("execution_timeout_interval", sa.BigInteger(), nullable=True),
        sa.Column("idempotent", sa.Boolean(), nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=True),
        sa.Column("template_name", sa.Text(), nullable=True),
        sa.Column("effective_user", sa.Text(), nullable=True),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("job_organization", sa.JSON(), nullable=True),
        sa.Column("job_location", sa.JSON(), nullable=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=True),
        sa.Column("job_number", sa.Integer(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("dirty", sa.Boolean(), nullable=True),
        sa.Column("rerun_of", sa.BigInteger(), nullable=True),
        sa.Column("launch", sa.JSON(), nullable=False),
        sa.Column("recurring_logic_id", KEY, nullable=True),
        sa.Column("occurrence", sa.BigInteger(), nullable=True),
        sa.Column("schedule_key", sa.Text(), nullable=True),
        sa.Column("runner_id", sa.String(length=64), nullable=True),
        sa.Column("cancel_requested", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["recurring_logic_id"],
            ["recurring_logic.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("recurring_logic_id", "occurrence", name="one_start_an_occurrence"),
        sa.UniqueConstraint("schedule_key"),
        sa.UniqueConstraint("task_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("job_invocation_playbook", "job_invocation", ["playbook"], unique=False)
    op.create_index("job_invocation_started_at", "job_invocation", ["started_at"], unique=False)
    op.create_index("job_invocation_state", "job_invocation", ["state"], unique=False)
    op.create_index("job_invocation_status_label", "job_invocation", ["status_label"], unique=False)
    op.create_table(
        "template_invocation",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("job_invocation_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("host_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("script_sha256", sa.String(length=64), nullable=True),
        sa.Column("intended_at", sa.BigInteger(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("reconciled", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.String(length=8), nullable=False),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noise", sa.Text(), nullable=False),
        sa.Column("pty", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stdout_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stdout_sha256", sa.String(length=64), nullable=True),
        sa.Column("stderr_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stderr_sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["job_invocation_id"], ["job_invocation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_invocation_id", "position"),
    )
    op.create_index(
        "template_invocation_host", "template_invocation", ["host_name", "job_invocation_id"], unique=False
    )
    op.create_index(
        "template_invocation_status", "template_invocation", ["status", "job_invocation_id"], unique=False
    )
    op.create_table(
        "output",
        sa.Column("template_invocation_id", KEY, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.SmallInteger(), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["template_invocation_id"], ["template_invocation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("template_invocation_id", "sequence"),
    )
