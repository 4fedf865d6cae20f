"""Diagnosis: what an error of a render means, and the line of the template it came from."""

import traceback
from collections.abc import Collection, Mapping
from typing import TypedDict

from jinja2 import (
    TemplateAssertionError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.exceptions import SecurityError

from chargehand.errors import did_you_mean
from chargehand.render.environment import GLOBALS, unknown_name
from chargehand.render.filters import FilterError
from chargehand.render.rendering import OutputLimitError, Recipe, RefusedError
from chargehand.render.undefined import UndefinedNameError

_MAX_LENGTH = 64 * 1024


class Finding(TypedDict):
    """What went wrong, as the worker says it."""

    message: str
    file: str
    line: int | None
    hint: str | None
    rule: str


def diagnose(
    error: Exception, recipe: Recipe, recipes: Mapping[str, Recipe], names: Collection[str] = ()
) -> Finding:
    """What an error raised while `recipe` was compiled or rendered means.

    Args:
        error: Anything: a template can make Python raise whatever it likes.
        recipe: What was rendered.
        recipes: What could be named by it.
        names: Everything that was defined.
    """
    message, hint = _meaning(error, recipes, names)
    file, line = _where(error, recipe, recipes)
    rule = "render-limit" if isinstance(error, (OutputLimitError, MemoryError)) else "render"
    shown = message[:_MAX_LENGTH].encode("utf-8", "backslashreplace").decode()
    return Finding(message=shown, file=file, line=line, hint=hint, rule=rule)


def _meaning(
    error: Exception, recipes: Mapping[str, Recipe], names: Collection[str]
) -> tuple[str, str | None]:
    match error:
        case RefusedError():
            return error.message or "", error.hint
        case UndefinedNameError():
            known = {*names, *GLOBALS} if error.known is None else error.known
            what = "is not defined" if error.known is None else "is not defined there"
            return f"`{error.name}` {what}", did_you_mean(error.name, known)
        case TemplateNotFound():
            return f"there is no template `{error.name}`", did_you_mean(str(error.name), recipes)
        case TemplateAssertionError() if (found := unknown_name(error)) is not None:
            return error.message or "", did_you_mean(*found)
        case SecurityError():
            return f"the sandbox refuses it: {error.message}", None
        case TemplateSyntaxError() | TemplateRuntimeError() | UndefinedError():
            return error.message or type(error).__name__, None
        case FilterError():
            return str(error), None
        case OutputLimitError():
            return "the script is larger than the limit", None
        case MemoryError():
            return "rendering takes more memory than the limit", None
        case RecursionError():
            return "the template is nested too deep", None
    return f"{type(error).__name__}: {error}", None


def _where(error: Exception, recipe: Recipe, recipes: Mapping[str, Recipe]) -> tuple[str, int | None]:
    if isinstance(error, TemplateSyntaxError):
        return error.filename or recipe.file, error.lineno
    files = {recipe.file, *(each.file for each in recipes.values())}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code.co_filename in files:
            return frame.f_code.co_filename, line
    return recipe.file, None
