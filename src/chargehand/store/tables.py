"""The tables, for migrations, tests and benchmarks; nothing else needs more than the names of columns.

Columns are called what the parameters and the JSON keys are called.

One row of `job_invocation` is one launch, one of `template_invocation` one host's share of it. Moments are
microseconds since 1970, UTC, so that they mean the same in every database and compare as numbers.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from chargehand.past.columns import microseconds_of, moment_of, tellable

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is called INTEGER."""


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else microseconds_of(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else moment_of(value)


class Words(TypeDecorator[str]):
    """A text from anywhere, made tellable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return value and tellable(value)


metadata = MetaData()

runner = Table(
    "runner",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("machine", Words, nullable=False),  # names a boot of a machine
    Column("pid", Integer, nullable=False),
    Column("lock_file", Words, nullable=False),  # locked as long as the runner lives
    Column("seen_at", Moment, nullable=False),
)

recurring_logic = Table(
    "recurring_logic",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("key", Words, nullable=False, unique=True),  # what makes it the same one when its file changes
    Column("playbook", Words, nullable=False),
    Column("job_number", Integer, nullable=False),
    Column("job_name", Words, nullable=False),
    Column("state", String(16), nullable=False),  # active disabled finished cancelled
    Column("reason", Words, nullable=False, default=""),  # why it is not active, or what is wrong
    Column("removed", Boolean, nullable=False, default=False),  # cancelled because its job is gone
    Column("fingerprint", String(64), nullable=False),  # of whom its job means
    Column("cron_line", Words, nullable=False),
    Column("time_zone", Words, nullable=False),
    Column("purpose", Words),
    Column("max_iteration", BigInteger),
    Column("end_time", Moment),
    Column("start_at", Moment),
    Column("start_before", Moment),
    Column("overlap", String(16), nullable=False),
    Column("catch_up_runs", String(8), nullable=False),
    Column("catch_up_window_s", Float, nullable=False),
    Column("jitter_s", Float, nullable=False),
    Column("iteration", BigInteger, nullable=False, default=0),
    Column("since", Moment, nullable=False),  # nothing before this is due
    Column("seen_until", Moment, nullable=False),  # every occurrence up to this is decided
    Column("paused_until", Moment),
    Column("last_occurrence", Moment),
    Column("hosts", JSON),  # of a static targeting: [[name, id], ...]
)

job_invocation = Table(
    "job_invocation",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("task_id", String(36), nullable=False, unique=True),
    Column("description", Words, nullable=False),
    Column("job_category", Words, nullable=False),
    Column("state", String(16), nullable=False),  # scheduled planned running stopped
    Column("status_label", String(16), nullable=False),  # queued running succeeded failed cancelled
    Column("code", Words, nullable=False, default=""),  # overlap missed blackout start_before invalid ...
    Column("reason", Words, nullable=False, default=""),  # one line of why it did not simply run
    Column("exit_code", Integer),
    Column("created_at", Moment, nullable=False),
    Column("start_at", Moment),  # when it started, or is to start
    Column("scheduled_at", Moment),  # as `scheduling` says, and so is the next
    Column("start_before", Moment),
    Column("started_at", Moment),  # of the run; None before
    Column("ended_at", Moment),
    Column("search_query", Words),
    Column("targeting_type", String(16), nullable=False),
    Column("bookmark_id", BigInteger),
    Column("bookmark_name", Words),
    Column("user_id", BigInteger),
    Column("randomized_ordering", Boolean),
    Column("resolved", Boolean, nullable=False, default=False),  # whether the hosts are known
    Column("total", Integer),
    Column("missing", Integer, nullable=False, default=0),
    Column("succeeded", Integer),  # these are of a stopped invocation
    Column("failed", Integer),
    Column("cancelled", Integer),
    Column("ssh_user", Words),
    Column("time_to_pickup", BigInteger),
    Column("concurrency_level", BigInteger),
    Column("execution_timeout_interval", BigInteger),
    Column("idempotent", Boolean, nullable=False, default=False),
    Column("template_id", BigInteger),
    Column("template_name", Words),
    Column("effective_user", Words),
    Column("inputs", JSON, nullable=False),  # [{"name", "value", "id", "hidden"}]
    Column("job_organization", JSON),
    Column("job_location", JSON),
    Column("user", Words, nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("playbook", Words),
    Column("job_number", Integer, nullable=False, default=0),
    Column("job_name", Words, nullable=False, default=""),
    Column("commit", String(64)),
    Column("dirty", Boolean),
    Column("signer", Words),  # of the commit, when it was taken over by signature
    Column("rerun_of", BigInteger),
    Column("launch", JSON, nullable=False),
    Column("recurring_logic_id", ForeignKey("recurring_logic.id")),
    Column("occurrence", Moment),  # the nominal time that it stands for
    Column("schedule_key", Words, unique=True),  # of a job with `scheduling`: started once
    Column("push_key", Words),  # of a job that a push starts: its commit and its key; started once
    Column("runner_id", String(64)),  # who carries it out; None when nobody does yet
    Column("cancel_requested", String(8), nullable=False, default=""),  # "" cancel force
    UniqueConstraint("recurring_logic_id", "occurrence", name="one_start_an_occurrence"),
    Index("job_invocation_state", "state"),
    Index("job_invocation_status_label", "status_label"),
    Index("job_invocation_started_at", "started_at"),
    Index("job_invocation_playbook", "playbook"),
    Index("job_invocation_push_key", "push_key", unique=True),
    sqlite_autoincrement=True,
)

template_invocation = Table(
    "template_invocation",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("job_invocation_id", ForeignKey("job_invocation.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("host_name", Words, nullable=False),
    Column("host_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # queued starting running stopped
    Column("status", String(16), nullable=False),  # as in the JSON; pending until stopped
    Column("token", String(64)),  # names the script's folder on the host; kept from the intent on
    Column("script_sha256", String(64)),  # of the script with its secrets masked
    Column("intended_at", Moment),
    Column("settled", Boolean, nullable=False, default=False),  # the host was told to remove the folder
    Column("reconciled", Boolean, nullable=False, default=False),  # learned from the host after a crash
    Column("cancel_requested", String(8), nullable=False, default=""),  # "" cancel force
    Column("exit_status", Integer),
    Column("signal", Words),
    Column("started_at", Moment),
    Column("duration_s", Float),
    Column("code", Words, nullable=False, default=""),
    Column("reason", Words, nullable=False, default=""),
    Column("noise", Words, nullable=False, default=""),
    Column("pty", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("stdout_size_bytes", BigInteger, nullable=False, default=0),
    Column("stdout_sha256", String(64)),
    Column("stderr_size_bytes", BigInteger, nullable=False, default=0),
    Column("stderr_sha256", String(64)),
    UniqueConstraint("job_invocation_id", "position"),
    Index("template_invocation_host", "host_name", "job_invocation_id"),
    Index("template_invocation_status", "status", "job_invocation_id"),
)

output = Table(
    "output",
    metadata,
    Column(
        "template_invocation_id",
        ForeignKey("template_invocation.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("sequence", Integer, primary_key=True),  # from 0, in the order in which it was heard
    Column("at", Moment, nullable=False),
    Column("stream", SmallInteger, nullable=False),  # 1 stdout, 2 stderr
    Column("offset_bytes", BigInteger, nullable=False),  # in the stream; a gap is what was left out
    Column("content", LargeBinary, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("name", Words, nullable=False, unique=True),  # of the repository that is tracked
    Column("commit", String(64)),  # that is in force; None before the first
    Column("signer", Words),
    Column("before", String(64)),  # that was in force before it
    Column("taken_at", Moment),
    Column("settled", Boolean, nullable=False, default=True),  # what its push starts is written down
    Column("trigger", String(16), nullable=False, default="push"),  # what had it looked for
    Column("tried_commit", String(64)),  # the newest that was seen
    Column("tried_at", Moment),
    Column("code", Words, nullable=False, default=""),  # why the last look took nothing over; "" all is well
    Column("reason", Words, nullable=False, default=""),
    Column("reached_at", Moment),  # when the repository answered last
)
