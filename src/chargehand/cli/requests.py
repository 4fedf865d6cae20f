"""Requests: what a parsed command line asks for, one small value per command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class InventoryRequest:
    """Which inventory to look at: ``-i`` sources, else the project's; and what opens its vaults."""

    inventory: tuple[str, ...]
    ask_vault_pass: bool
    vault_password_files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SelectionRequest(InventoryRequest):
    """Which hosts of a job's targeting, and with which input values."""

    limit: str | None
    exclude: str | None
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LaunchRequest(InventoryRequest):
    """How hosts are reached and how a run is told of; what ``run``, ``exec`` and ``rerun`` share."""

    forks: int | None
    user: str | None
    ask_pass: bool
    ask_become_pass: bool
    private_key: Path | None
    become: bool
    become_user: str | None
    output: Literal["text", "json", "ndjson", "junit"]
    verbose: bool
    list_hosts: bool


@dataclass(frozen=True, kw_only=True)
class FirstLaunchRequest(LaunchRequest):
    """A launch of something new, which may be in a lab; what ``run`` and ``exec`` share."""

    lab: int | None


@dataclass(frozen=True, kw_only=True)
class RunRequest(FirstLaunchRequest, SelectionRequest):
    """``chargehand run``."""

    files: tuple[str, ...]
    check: bool
    now: bool


@dataclass(frozen=True, kw_only=True)
class ExecRequest(FirstLaunchRequest):
    """``chargehand exec``."""

    query: str
    command: tuple[str, ...]
    exclude: str | None
    timeout: int | None


@dataclass(frozen=True, kw_only=True)
class ValidateRequest(InventoryRequest):
    """``chargehand validate``."""

    files: tuple[str, ...]
    format: Literal["auto", "text", "json", "github", "sarif", "junit", "codequality"]
    every_host: bool
    run_programs: bool


@dataclass(frozen=True, kw_only=True)
class PlanRequest(SelectionRequest):
    """``chargehand plan``; with `before` or `after`, of a change."""

    files: tuple[str, ...]
    output: Literal["text", "json", "markdown"]
    run_programs: bool
    before: str | None
    after: str | None
    branch: str | None
    detailed_exitcode: bool


@dataclass(frozen=True, kw_only=True)
class RenderRequest(SelectionRequest):
    """``chargehand render``."""

    file: str
    output: Literal["text", "json"]
    run_programs: bool


@dataclass(frozen=True, kw_only=True)
class HostsRequest(InventoryRequest):
    """``chargehand hosts``; the words are a query, or ``explain HOST VAR``."""

    words: tuple[str, ...]
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """``chargehand features`` and ``bookmarks``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class TemplatesRequest(ListRequest):
    """``chargehand templates``."""

    name: str | None


@dataclass(frozen=True, kw_only=True)
class SchemaRequest:
    """``chargehand schema``, and ``schema build``."""

    action: Literal["build"] | None
    check: bool


@dataclass(frozen=True, kw_only=True)
class InitRequest:
    """``chargehand init``; with `service`, print what starts Chargehand by itself."""

    folder: Path
    service: Literal["systemd", "cron"] | None


@dataclass(frozen=True, kw_only=True)
class LabUpRequest(InventoryRequest):
    """``chargehand lab up``."""

    hosts: str
    foreground: bool


@dataclass(frozen=True, kw_only=True)
class LabRequest:
    """``chargehand lab down`` and ``lab status``."""


@dataclass(frozen=True, kw_only=True)
class DoctorRequest(InventoryRequest):
    """``chargehand doctor``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """``chargehand completion``."""

    shell: Literal["bash", "zsh", "fish"]


@dataclass(frozen=True, kw_only=True)
class HistoryRequest:
    """``chargehand list``; the words are a query over runs."""

    words: tuple[str, ...]
    limit: int
    every: bool
    oldest_first: bool
    output: Literal["text", "json", "ndjson"]


@dataclass(frozen=True, kw_only=True)
class ShowRequest:
    """``chargehand show``."""

    id: str
    hosts: str | None
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class OutputRequest:
    """``chargehand output``."""

    id: str
    host: str | None
    follow: bool
    stdout: bool
    stderr: bool
    timestamps: bool
    raw: bool


@dataclass(frozen=True, kw_only=True)
class DiffRequest:
    """``chargehand diff``."""

    before: str
    after: str
    host: str | None
    detailed_exitcode: bool
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class CancelRequest:
    """``chargehand cancel``."""

    id: str
    force: bool
    limit: str | None
    no_wait: bool


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """``chargehand prune``."""

    keep: int | None
    older_than: str | None
    max_size: str | None
    dry_run: bool


@dataclass(frozen=True, kw_only=True)
class TickRequest:
    """``chargehand tick``."""


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """``chargehand serve``; times in seconds, and where webhooks are heard, if not where the setting says."""

    interval: float
    grace: float
    listen: str | None


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """``chargehand sync``."""

    run_first: bool


@dataclass(frozen=True, kw_only=True)
class StatusRequest:
    """``chargehand status``."""

    output: Literal["text", "json"]
    detailed_exitcode: bool


@dataclass(frozen=True, kw_only=True)
class ResumeRequest(InventoryRequest):
    """``chargehand resume``."""

    id: str
    recorded: bool
    changed: bool
    inputs: tuple[str, ...]
    ask_pass: bool
    ask_become_pass: bool
    private_key: Path | None
    output: Literal["text", "json", "ndjson", "junit"]
    verbose: bool


@dataclass(frozen=True, kw_only=True)
class RerunRequest(LaunchRequest):
    """``chargehand rerun``."""

    id: str
    failed: bool
    unreached: bool
    succeeded: bool
    recorded: bool
    skip_missing: bool
    inputs: tuple[str, ...]
    check: bool


@dataclass(frozen=True, kw_only=True)
class ScheduleListRequest:
    """``chargehand schedule list``."""

    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class ScheduleNextRequest:
    """``chargehand schedule next``."""

    number: int
    output: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class RecurringLogicRequest:
    """``chargehand schedule resume`` and ``cancel``."""

    which: str


@dataclass(frozen=True, kw_only=True)
class PauseRequest(RecurringLogicRequest):
    """``chargehand schedule pause``."""

    until: str | None
    reason: str | None
