"""The composition itself: what runs, with which values and as whom, and all sections put together.

The one way from what was written to what may run: `validate`, `plan`, `run` and whatever starts a job
later go through `compose`, so that none of them can mean something else.
"""

import getpass
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from chargehand.compose.catalogue import NO_OVERRIDES, Catalogue, Overrides
from chargehand.compose.findings import Findings
from chargehand.compose.targets import compose_targeting, compose_taxonomy
from chargehand.compose.timing import compose_limits, compose_recurrence, compose_scheduling, compose_zone
from chargehand.errors import InvocationError, Place
from chargehand.invocation import JobInvocation, Secrets
from chargehand.job import Job
from chargehand.reference import SecretReference, read_reference
from chargehand.search import compile_query
from chargehand.settings import Settings
from chargehand.targeting import Within
from chargehand.template import (
    JobTemplate,
    TemplateInput,
    Templates,
    check_values,
    describe,
    fill_values,
    inline_template,
)

COMMAND_LINE = Place("<command line>")
INPUTS = ("job_invocation", "inputs")


def compose(
    job: Job, catalogue: Catalogue, *, now: datetime, overrides: Overrides = NO_OVERRIDES
) -> JobInvocation:
    """Turn a job into an invocation that can be planned and run as it stands.

    Args:
        job: As its file has it; a shape that the schema refused is passed over, not told again.
        catalogue: What its names are looked up in.
        now: For dates in queries, and for times that must lie in the future.
        overrides: What the command line says instead.

    Raises:
        InvocationError: With every problem of the job.

    Source:
        Foreman's rules for every parameter, with their weak points put right (design §2.2).
    """
    findings = Findings(job)
    taxonomies, settings = catalogue.taxonomies, catalogue.settings
    zone = compose_zone(findings, settings)
    location = compose_taxonomy(findings, "location_id", taxonomies.find_location)
    organization = compose_taxonomy(findings, "organization_id", taxonomies.find_organization)
    within = Within(
        location=location.name if location else None, organization=organization.name if organization else None
    )
    targeting = compose_targeting(findings, catalogue, within, zone or UTC, now)
    recurrence = compose_recurrence(findings, zone, now)
    scheduling = compose_scheduling(findings, zone, now)
    limits = compose_limits(findings, overrides)
    idle_timeout_s, _, _ = (
        findings.duration(*path) for path in (("idle_timeout",), ("jitter",), ("catch_up", "window"))
    )
    ssh_user = findings.user("job_invocation", "ssh_user")
    template = _template(findings, catalogue.templates)
    declared = (findings.attempt(lambda: catalogue.templates.inputs_of(template)) if template else None) or ()
    secrets = _secrets(findings, declared, settings, overrides)
    inputs = _inputs(findings, template, declared, secrets, overrides, now)
    effective_user = _effective_user(findings, template)
    if findings.problems or template is None or targeting is None:
        raise InvocationError(findings.problems)
    shown = {**inputs, **secrets.inputs}
    timeout = job.number("job_invocation", "execution_timeout_interval")
    return JobInvocation(
        job=job,
        template=template,
        feature=job.text("job_invocation", "feature"),
        inputs=inputs,
        secrets=secrets,
        description=describe(template, declared, shown, job.text("job_invocation", "description_format")),
        targeting=targeting,
        effective_user=effective_user,
        ssh_user=overrides.ssh_user or ssh_user,
        recurrence=recurrence,
        scheduling=scheduling,
        limits=limits,
        execution_timeout_interval=timeout or template.execution_timeout_interval,
        idle_timeout_s=idle_timeout_s,
        time_to_pickup=job.number("job_invocation", "time_to_pickup"),
        max_targets=job.number("max_targets"),
        allow_empty=bool(job.flag("allow_empty")),
        location_id=location.id if location else None,
        organization_id=organization.id if organization else None,
        warnings=tuple(findings.warnings),
    )


def _template(findings: Findings, templates: Templates) -> JobTemplate | None:
    job = findings.job
    script = job.text("script")
    if job.has("script"):
        for other in ("job_template_id", "feature"):
            if job.has("job_invocation", other):
                message = f"`script` and `{other}` cannot both be given: a job runs one template"
                findings.add(message, "job_invocation", other, hint="remove one of them")
        if script is None:
            return None
        return findings.attempt(lambda: inline_template(job.document, job.root, job.label))
    if job.has("template_inputs"):
        findings.add(
            "`template_inputs` belongs to a `script` in place", "template_inputs", hint="add `script`"
        )
    key = findings.only_one("job_template_id", "feature", why="a job runs one template")
    wanted = job.value("job_invocation", key) if key else None
    if key == "feature" and isinstance(wanted, str):
        return findings.attempt(lambda: templates.for_feature(wanted), "job_invocation", key)
    if key == "job_template_id" and isinstance(wanted, str | int) and not isinstance(wanted, bool):
        return findings.attempt(lambda: templates.find(wanted), "job_invocation", key)
    return None


def _inputs(
    findings: Findings,
    template: JobTemplate | None,
    declared: Sequence[TemplateInput],
    secrets: Secrets,
    overrides: Overrides,
    now: datetime,
) -> Mapping[str, str]:
    """Every plain input value, defaults filled in."""
    job = findings.job
    values: dict[str, object] = {}
    for name, value in job.mapping(*INPUTS).items():
        plain = isinstance(value, str | int | float) and name not in secrets.inputs
        values[name] = job.written(*INPUTS, name) if plain else secrets.inputs.get(name, value)
    values |= overrides.inputs
    if template is None:
        return {}

    def place_of(name: str) -> Place:
        if name in overrides.inputs:
            return COMMAND_LINE
        return job.place(*INPUTS, name, key=True) if name in job.mapping(*INPUTS) else job.place(*INPUTS)

    findings.problems += check_values(
        declared,
        values,
        template_name=template.name,
        place_of=place_of,
        compile_search=lambda query: compile_query(query, now=now),
    )
    filled = fill_values(declared, values)
    return {name: value for name, value in filled.items() if isinstance(value, str)}


def _secrets(
    findings: Findings, declared: Sequence[TemplateInput], settings: Settings, overrides: Overrides
) -> Secrets:
    plain_allowed = settings.plain_secrets == "allow"

    def reference(*path: str | int) -> SecretReference | None:
        value = findings.job.value(*path)
        if value is None:
            return None
        return findings.attempt(
            lambda: read_reference(
                value, findings.job.place(*path), plain_allowed=plain_allowed, question=f"{path[-1]}: "
            ),
            *path,
        )

    hidden = {each.name for each in declared if each.hidden_value}
    inputs: dict[str, SecretReference] = {}
    for name, value in findings.job.mapping(*INPUTS).items():
        if name in overrides.inputs:
            continue
        if name in hidden:
            found = reference(*INPUTS, name)
            inputs |= {name: found} if found else {}
        elif value is not None and not isinstance(value, str | int | float) and declared:
            message = f"input `{name}` takes a plain value; only a hidden input takes a secret reference"
            findings.add(message, *INPUTS, name, hint="`hidden_value: true` in its template hides it")
    return Secrets(
        password=reference("job_invocation", "password"),
        key_passphrase=reference("job_invocation", "key_passphrase"),
        effective_user_password=reference("job_invocation", "ssh", "effective_user_password"),
        inputs=inputs,
    )


def _effective_user(findings: Findings, template: JobTemplate | None) -> str | None:
    """The effective user that invocation or template ask for; a template that insists is not overruled."""
    path = ("job_invocation", "ssh", "effective_user")
    asked = findings.user(*path)
    if template is None:
        return asked
    own = template.effective_user
    value = getpass.getuser() if own.current_user else own.value
    if asked is not None and asked != value and not own.overridable:
        findings.add(
            f"template `{template.name}` does not let its effective user be overridden",
            *path,
            hint="remove `effective_user`, or set `overridable: true` in the template",
        )
    return asked or value
