"""``chargehand doctor``."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC
from importlib.util import find_spec
from pathlib import Path

import click

from chargehand.blackout import Calendars
from chargehand.cli import screen
from chargehand.cli.opening import open_project
from chargehand.cli.receiving import rules_of
from chargehand.cli.requests.setup import DoctorRequest
from chargehand.compose import read_wishes
from chargehand.doctor import Finding, Verdict, examine_machine
from chargehand.errors import ChargehandError, Place, UsageError
from chargehand.job import Job
from chargehand.layout import find_root
from chargehand.project import Project
from chargehand.secret import Secret
from chargehand.settings import Settings, load_settings

_SHADES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(request: DoctorRequest) -> int:
    """Examine machine and project; 1 when something fails."""
    root = find_root(Path())
    settings, finding = _settings(root)
    findings = [
        *examine_machine(os.environ, settings.concurrency_level, Path.home()),
        finding,
        *_project(request),
    ]
    if request.output == "json":
        screen.say_json([asdict(finding) for finding in findings])
    else:
        _tell(findings)
    failed = sum(finding.verdict == "fail" for finding in findings)
    return 1 if failed else 0


def _settings(root: Path) -> tuple[Settings, Finding]:
    try:
        return load_settings(root), Finding(about="project", verdict="ok", found=str(root.resolve()))
    except ChargehandError as error:
        return Settings(), _failed("project", error)


def _project(request: DoctorRequest) -> list[Finding]:
    """Load every part of the project, each for itself."""
    try:
        project = open_project(request)
    except ChargehandError:
        return []  # told by `_settings`
    looks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("inventory", lambda: screen.count(len(project.inventory), "host")),
        ("templates", lambda: screen.count(len(project.templates), "template")),
        ("bookmarks", lambda: screen.count(len(list(project.bookmarks)), "bookmark")),
        ("jobs", lambda: screen.count(len(project.jobs), "job")),
    )
    return [_look(about, look) for about, look in looks] + _extras(project)


def _extras(project: Project) -> list[Finding]:
    """What needs packages that are not always installed, as far as the project asks for it."""
    with suppress(ChargehandError):  # told of `jobs`
        jobs = project.jobs
        found = []
        if project.settings.blackout or any(job.has("blackout") for job in jobs):
            found.append(_look("blackout", lambda: _calendars(project, jobs)))
        if project.settings.notify or any(job.has("notify") for job in jobs):
            found.append(_look("notify", lambda: _recipients(project, jobs)))
        if project.settings.webhook.listen or project.settings.webhook.secrets:
            found.append(_look("webhook", lambda: _webhook(project)))
        return found
    return []


def _calendars(project: Project, jobs: Sequence[Job]) -> str:
    """How many calendars are read; all of them are."""
    files = dict.fromkeys(project.settings.blackout, Place(project.settings.file))
    for job in jobs:
        files |= job.calendars(project.settings.blackout, project.settings.file)
    Calendars(project.root).blackout(files, UTC)
    return screen.count(len(files), "calendar")


def _recipients(project: Project, jobs: Sequence[Job]) -> str:
    """Who is told, and by what kind of URL; of the URL nothing else is said."""
    if find_spec("apprise") is None:
        raise UsageError("apprise is missing: pip install 'chargehand[notify]'")
    wishes = {wish.name: wish for job in jobs for wish in read_wishes(job, project.settings)}
    if not wishes:
        return "nobody is told by any job"
    return ", ".join(f"{name} by {_scheme(project.look_up(wishes[name].to))}" for name in sorted(wishes))


def _webhook(project: Project) -> str:
    """How many secrets deliveries may be signed with."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{missing[0]} is missing: pip install 'chargehand[server]'")
    return screen.count(len(rules_of(project).secrets), "secret")


def _scheme(url: Secret) -> str:
    """The kind of a URL."""
    found = re.match(r"([a-z][a-z0-9+.-]{0,19})://", url.reveal(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise UsageError("what `notify` leads to is no URL such as mailto://...")
    return found[1]


def _look(about: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(about=about, verdict="ok", found=look())
    except ChargehandError as error:
        return _failed(about, error)


def _failed(about: str, error: ChargehandError) -> Finding:
    return Finding(
        about=about,
        verdict="fail",
        found=str(error).splitlines()[0],
        advice="`chargehand validate` tells the rest",
    )


def _tell(findings: list[Finding]) -> None:
    coloured = screen.colour_wanted(sys.stdout, os.environ)
    rows = [[finding.verdict, finding.about, finding.found] for finding in findings]
    for line, finding in zip(screen.table(rows), findings, strict=True):
        shade = _SHADES[finding.verdict]
        head = click.style(finding.verdict, fg=shade) if coloured else finding.verdict
        click.echo(head + line[len(finding.verdict) :], color=coloured)
        if finding.advice:
            screen.say(f"      = {finding.advice}")
    failed = sum(finding.verdict == "fail" for finding in findings)
    warned = sum(finding.verdict == "warn" for finding in findings)
    screen.note(f"{failed} failed, {screen.count(warned, 'warning')}, {len(findings)} looked at")
