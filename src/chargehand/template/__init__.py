"""Job templates: what can be run, and the inputs it asks for.

Reading one never compiles or renders it; that is for `chargehand.render`.
"""

from chargehand.template.collection import SHIPPED_FOLDER, Templates, load_templates, templates_with
from chargehand.template.description import describe
from chargehand.template.job_template import EffectiveUser, ForeignInputSet, JobTemplate, TemplateInput
from chargehand.template.metadata import inline_template, read_template
from chargehand.template.values import check_values, fill_values

__all__ = [
    "SHIPPED_FOLDER",
    "EffectiveUser",
    "ForeignInputSet",
    "JobTemplate",
    "TemplateInput",
    "Templates",
    "check_values",
    "describe",
    "fill_values",
    "inline_template",
    "load_templates",
    "read_template",
    "templates_with",
]
