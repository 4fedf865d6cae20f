"""``chargehand templates``, ``features``, ``bookmarks``: what a job can refer to by name."""

from chargehand.cli import screen
from chargehand.cli.requests.looking import ListRequest, TemplatesRequest
from chargehand.planner import Planner
from chargehand.template import JobTemplate, TemplateInput, Templates


def templates(request: TemplatesRequest) -> int:
    """List the job templates, or tell everything of one."""
    known = Planner.load(".").templates
    if request.name is not None:
        found = known.find(request.name)
        if request.output == "json":
            screen.say_json(_template(found, known))
        else:
            _describe(found, known)
        return 0
    runnable = [template for template in known if not template.snippet]
    if request.output == "json":
        screen.say_json([_template(template, known) for template in runnable])
    else:
        rows = [
            ["" if each.id is None else str(each.id), each.name, each.job_category, _inputs(each, known)]
            for each in runnable
        ]
        screen.say_table(("ID", "NAME", "CATEGORY", "INPUTS"), rows)
    return 0


def features(request: ListRequest) -> int:
    """List the features and who serves them."""
    served = sorted(Planner.load(".").templates.features.items())
    if request.output == "json":
        screen.say_json([{"feature": label, "job_template": template.name} for label, template in served])
    else:
        screen.say_table(("FEATURE", "JOB TEMPLATE"), [[label, template.name] for label, template in served])
    return 0


def bookmarks(request: ListRequest) -> int:
    """List the saved searches."""
    known = list(Planner.load(".").bookmarks)
    if request.output == "json":
        screen.say_json([{"id": each.id, "name": each.name, "query": each.query} for each in known])
    else:
        screen.say_table(("ID", "NAME", "QUERY"), [[str(each.id), each.name, each.query] for each in known])
    return 0


def _inputs(template: JobTemplate, known: Templates) -> str:
    """Names of the inputs that a user gives; those that must be given with a star."""
    return " ".join(
        each.name + ("*" if each.required and each.default is None else "")
        for each in known.inputs_of(template)
        if each.input_type == "user"
    )


def _describe(template: JobTemplate, known: Templates) -> None:
    facts = (
        ("name", template.name),
        ("id", template.id),
        ("job category", template.job_category),
        ("feature", template.feature),
        ("description", template.description),
        ("effective user", _effective_user(template)),
        ("timeout", template.execution_timeout_interval),
        ("file", template.file),
    )
    screen.say("\n".join(f"{name}: {value}" for name, value in facts if value not in (None, "")))
    rows = [
        [each.name, each.input_type, "yes" if each.required else "", _default(each), each.description or ""]
        for each in known.inputs_of(template)
    ]
    if rows:
        screen.say("")
        screen.say_table(("INPUT", "FROM", "REQUIRED", "DEFAULT", "DESCRIPTION"), rows)


def _effective_user(template: JobTemplate) -> str:
    own = template.effective_user
    name = "who starts the job" if own.current_user else own.value or "by the settings"
    return name if own.overridable else f"{name}, not overridable"


def _default(each: TemplateInput) -> str:
    if each.options:
        return "|".join(f"[{option}]" if option == each.default else option for option in each.options)
    return each.default or ""


def _template(template: JobTemplate, known: Templates) -> dict[str, object]:
    return {
        "id": template.id,
        "name": template.name,
        "job_category": template.job_category,
        "provider_type": template.provider_type,
        "feature": template.feature,
        "description_format": template.description_format,
        "execution_timeout_interval": template.execution_timeout_interval,
        "file": template.file,
        "template_inputs": [_input(each) for each in known.inputs_of(template)],
    }


def _input(each: TemplateInput) -> dict[str, object]:
    return {
        "name": each.name,
        "input_type": each.input_type,
        "value_type": each.value_type,
        "required": each.required,
        "advanced": each.advanced,
        "hidden_value": each.hidden_value,
        "options": list(each.options),
        "default": each.default,
        "description": each.description,
    }
