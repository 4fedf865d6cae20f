"""The composition itself: what runs, with which values and as whom, and all sections put together.

The one way from what was written to what may run: `validate`, `plan`, `run` and whatever starts a job
later go through `compose`, so that none of them can mean something else.
"""

import getpass
from datetime import UTC, datetime

from chargehand.compose.catalogue import NO_OVERRIDES, Catalogue, Overrides
from chargehand.compose.findings import COMMAND_LINE, Findings, in_order
from chargehand.compose.inputs import compose_inputs, read_secret
from chargehand.compose.notify import compose_wishes
from chargehand.compose.targets import compose_targeting, compose_taxonomies, within
from chargehand.compose.timing import (
    compose_blackout,
    compose_limits,
    compose_punctuality,
    compose_timing,
    compose_zone,
)
from chargehand.compose.trigger import compose_push
from chargehand.errors import InvocationError
from chargehand.invocation import JobInvocation, Secrets
from chargehand.job import Job
from chargehand.reference import SecretReference
from chargehand.targeting import related
from chargehand.taxonomy import Taxonomy
from chargehand.template import JobTemplate, Templates, describe, inline_template

_TEMPLATE_ID = ("job_invocation", "job_template_id")
_FEATURE = ("job_invocation", "feature")
_TEMPLATES = (("script",), _TEMPLATE_ID, _FEATURE)
_SSH_USER = ("job_invocation", "ssh_user")
_EFFECTIVE_USER = ("job_invocation", "ssh", "effective_user")
_PASSWORDS = {
    "password": ("job_invocation", "password"),
    "key_passphrase": ("job_invocation", "key_passphrase"),
    "effective_user_password": ("job_invocation", "ssh", "effective_user_password"),
}


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
        InvocationError: With every problem and every warning of the job, in the order of its file.

    Source:
        Foreman's rules for every parameter, with their weak points put right (design §2.2).
    """
    findings = Findings(job)
    settings, templates = catalogue.settings, catalogue.templates
    zone = compose_zone(findings, settings)
    location, organization = compose_taxonomies(findings, catalogue.taxonomies)
    targeting = compose_targeting(findings, catalogue, within(location, organization), zone or UTC, now)
    recurrence, scheduling = compose_timing(findings, zone, now, overrides)
    punctuality, limits = compose_punctuality(findings), compose_limits(findings, overrides)
    blackout, wishes = compose_blackout(findings, catalogue, zone), compose_wishes(findings, settings)
    push, template = compose_push(findings), _template(findings, templates)
    _check_seen(findings, template, location, organization)
    declared = (findings.attempt(lambda: templates.inputs_of(template)) if template else None) or ()
    plain_secrets = settings.plain_secrets == "allow"
    inputs, hidden = compose_inputs(findings, template, declared, overrides, now, plain_secrets=plain_secrets)
    secrets = Secrets(inputs=hidden, **_passwords(findings, plain_secrets))
    effective_user, ssh_user = _effective_user(findings, template), _ssh_user(findings, overrides)
    idle_timeout_s = findings.duration("idle_timeout")
    if findings.problems or template is None or targeting is None:
        raise InvocationError(in_order([*findings.problems, *findings.warnings]))
    shown, description_format = {**inputs, **hidden}, job.text("job_invocation", "description_format")
    timeout = job.number("job_invocation", "execution_timeout_interval")
    return JobInvocation(
        job=job,
        template=template,
        feature=job.text("job_invocation", "feature"),
        inputs=inputs,
        secrets=secrets,
        description=describe(template, declared, shown, description_format),
        targeting=targeting,
        effective_user=effective_user,
        ssh_user=ssh_user,
        recurrence=recurrence,
        scheduling=scheduling,
        punctuality=punctuality,
        blackout=blackout,
        push=push,
        notify=wishes,
        limits=limits,
        execution_timeout_interval=timeout or template.execution_timeout_interval,
        idle_timeout_s=idle_timeout_s,
        time_to_pickup=job.number("job_invocation", "time_to_pickup"),
        max_targets=job.number("max_targets"),
        allow_empty=bool(job.flag("allow_empty")),
        location_id=location.id if location else None,
        organization_id=organization.id if organization else None,
        warnings=in_order(findings.warnings),
    )


def _template(findings: Findings, templates: Templates) -> JobTemplate | None:
    """What runs; of several that are given, each is looked up, and one of them stands for all."""
    job = findings.job
    findings.check_only_one(*_TEMPLATES, why="a job runs one template")
    if job.has("template_inputs") and not job.has("script"):
        message, hint = "`template_inputs` belongs to a `script` in place", "add `script`"
        findings.add(message, "template_inputs", hint=hint)
    called, feature = findings.id_or_name(*_TEMPLATE_ID), job.text(*_FEATURE)
    found = (
        findings.attempt(lambda: inline_template(job.document, job.root, job.label))
        if job.text("script") is not None
        else None,
        None if called is None else findings.attempt(lambda: templates.find(called), *_TEMPLATE_ID),
        None if feature is None else findings.attempt(lambda: templates.for_feature(feature), *_FEATURE),
    )
    return next((template for template in found if template is not None), None)


def _check_seen(
    findings: Findings,
    template: JobTemplate | None,
    location: Taxonomy | None,
    organization: Taxonomy | None,
) -> None:
    """Refuse a template that belongs to other locations or organizations than the job."""
    if template is None:
        return
    path = next((path for path in _TEMPLATES if findings.job.has(*path)), _TEMPLATE_ID)
    for kind, asked, own in (
        ("location", location, template.locations),
        ("organization", organization, template.organizations),
    ):
        if asked and own and not any(_same_or_nested(each, asked) for each in own):
            message = f"template `{template.name}` is not of the {kind} `{asked.name}`"
            findings.add(message, *path, hint=f"it is of {', '.join(own)}")


def _same_or_nested(own: str, asked: Taxonomy) -> bool:
    """Whether a template of `own`, a name or an id, is seen in `asked`: itself, above or below it."""
    return own == str(asked.id) or related(own, asked.name) or related(asked.name, own)


def _passwords(findings: Findings, plain_secrets: bool) -> dict[str, SecretReference | None]:
    return {
        name: read_secret(findings, *path, plain_secrets=plain_secrets) for name, path in _PASSWORDS.items()
    }


def _effective_user(findings: Findings, template: JobTemplate | None) -> str | None:
    """The effective user that invocation or template ask for; a template that insists is not overruled."""
    asked = findings.user(*_EFFECTIVE_USER)
    if template is None:
        return asked
    own = template.effective_user
    value = getpass.getuser() if own.current_user else own.value
    if asked is not None and asked != value and not own.overridable:
        findings.add(
            f"template `{template.name}` does not let its effective user be overridden",
            *_EFFECTIVE_USER,
            hint="remove `effective_user`, or set `overridable: true` in the template",
        )
    return asked or value


def _ssh_user(findings: Findings, overrides: Overrides) -> str | None:
    asked = findings.user(*_SSH_USER)
    if overrides.ssh_user is None:
        return asked
    return findings.check_user(overrides.ssh_user, COMMAND_LINE)
