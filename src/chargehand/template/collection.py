"""Templates: every job template of a project, found by name, id or feature."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from chargehand.errors import InvalidError, Place, Problem, TemplateError, did_you_mean
from chargehand.template.fields import RULE
from chargehand.template.job_template import ForeignInputSet, JobTemplate, TemplateInput
from chargehand.template.metadata import read_template

SHIPPED_FOLDER = Path(__file__).parent.parent / "templates"
SUFFIX = ".j2"
_MAX_BYTES = 256 * 1024


class Templates:
    """Job templates, one for every name.

    Iterates them by name, snippets included. What it is given is iterated when one is first asked for.
    """

    def __init__(self, templates: Iterable[JobTemplate]) -> None:
        self._given = templates

    @cached_property
    def _by_name(self) -> Mapping[str, JobTemplate]:
        return {template.name: template for template in sorted(self._given, key=lambda each: each.name)}

    @cached_property
    def _by_id(self) -> Mapping[int, JobTemplate]:
        return {each.id: each for each in self if each.id is not None}

    def __iter__(self) -> Iterator[JobTemplate]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, template: JobTemplate) -> bool:
        return self._by_name.get(template.name) is template

    @property
    def features(self) -> Mapping[str, JobTemplate]:
        """The features that a template serves, by label."""
        return {each.feature: each for each in self if each.feature is not None}

    def find(self, name_or_id: str | int) -> JobTemplate:
        """The template of this name, else of this id.

        Raises:
            TemplateError: There is none, or it is a snippet.
        """
        wanted = str(name_or_id)
        found = self._by_name.get(wanted)
        if found is None and wanted.isascii() and wanted.isdigit():
            found = self._by_id.get(int(wanted))
        if found is None:
            raise TemplateError(self._unknown(f"no job template `{wanted}`", wanted))
        if found.snippet:
            raise TemplateError(Problem(f"`{wanted}` is a snippet, which cannot be run by itself", rule=RULE))
        return found

    def for_feature(self, label: str) -> JobTemplate:
        """The template that serves a feature.

        Raises:
            TemplateError: None does.
        """
        features = self.features
        if label not in features:
            hint = did_you_mean(label, features)
            raise TemplateError(
                Problem(f"no job template serves the feature `{label}`", hint=hint, rule=RULE)
            )
        return features[label]

    def inputs_of(self, template: JobTemplate) -> tuple[TemplateInput, ...]:
        """The inputs of a template: its own, then those it takes over from others, in order.

        Raises:
            TemplateError: A foreign input set names something unknown, goes in a circle, or brings
                an input that is there already.
        """
        inputs, problems = self._gather(template, ())
        if problems:
            raise TemplateError(problems)
        return inputs

    def inherited_by(self, template: JobTemplate) -> Mapping[str, list[str]]:
        """By template name, the names of the inputs that `template` takes over from it."""
        names: dict[str, list[str]] = {}
        for foreign in template.foreign_input_sets:
            taken, _ = self._take(foreign, (template.name,))
            names.setdefault(foreign.template, []).extend(each.name for each in taken)
        return names

    def check(self) -> list[Problem]:
        """What is wrong between templates: ids and features given twice, foreign input sets."""
        problems = [*self._doubles("id"), *self._doubles("feature")]
        for template in self:
            found = self._gather(template, ())[1]
            problems += [problem for problem in found if problem not in problems]
        return problems

    def _unknown(self, message: str, wanted: str, place: Place | None = None) -> Problem:
        return Problem(message, place, did_you_mean(wanted, self._by_name), RULE)

    def _doubles(self, field: str) -> Iterator[Problem]:
        first: dict[object, JobTemplate] = {}
        for template in self:
            value = getattr(template, field)
            other = first.setdefault(value, template)
            if value is not None and other is not template:
                message = f"{field} `{value}` of `{template.name}` belongs to `{other.name}` in {other.file}"
                yield Problem(message, Place(template.file, 1), rule=RULE)

    def _gather(
        self, template: JobTemplate, above: tuple[str, ...]
    ) -> tuple[tuple[TemplateInput, ...], list[Problem]]:
        inputs = {each.name: each for each in template.template_inputs}
        problems: list[Problem] = []
        for foreign in template.foreign_input_sets:
            taken, found = self._take(foreign, (*above, template.name))
            problems += found
            for each in taken:
                if each.name in inputs:
                    message = (
                        f"input `{each.name}` of `{foreign.template}` is declared twice in `{template.name}`"
                    )
                    hint = f"add `exclude: {each.name}`"
                    problems.append(Problem(message, foreign.place, hint, RULE))
                inputs[each.name] = each
        return tuple(inputs.values()), problems

    def _take(
        self, foreign: ForeignInputSet, above: tuple[str, ...]
    ) -> tuple[list[TemplateInput], list[Problem]]:
        target = self._by_name.get(foreign.template)
        if target is None:
            return [], [
                self._unknown(f"no job template `{foreign.template}`", foreign.template, foreign.place)
            ]
        if target.name in above:
            circle = " > ".join((*above, target.name))
            return [], [Problem(f"foreign input sets go in a circle: {circle}", foreign.place, rule=RULE)]
        inputs, problems = self._gather(target, above)
        names = [each.name for each in inputs]
        for name in (*(foreign.include or ()), *foreign.exclude):
            if name not in names:
                message = f"`{target.name}` has no input `{name}`"
                problems.append(Problem(message, foreign.place, did_you_mean(name, names), RULE))
        wanted = names if foreign.include is None else foreign.include
        return [each for each in inputs if each.name in wanted and each.name not in foreign.exclude], problems


def templates_with(folder: Path) -> Templates:
    """The shipped templates and those of a folder, which go before.

    The shipped ones alone are sound and are read when one is asked for; a job of a mere script asks for none.

    Raises:
        TemplateError: Everything that is wrong in the folder.
    """
    folders = [SHIPPED_FOLDER, folder]
    own = any(folder.rglob(f"*{SUFFIX}"))
    return load_templates(folders) if own else Templates(_later(folders))


def _later(folders: Sequence[Path]) -> Iterator[JobTemplate]:
    yield from load_templates(folders)


def load_templates(folders: Sequence[Path]) -> Templates:
    """Load every ``*.j2`` below `folders`; a later folder's templates go before, by name and by feature.

    A folder that is not there holds nothing.

    Raises:
        TemplateError: Everything that is wrong in any of them.
    """
    problems: list[Problem] = []
    kept: dict[str, JobTemplate] = {}
    for folder in folders:
        found = _load_folder(folder, problems)
        features = {each.feature for each in found} - {None}
        kept = {name: _without(each, features) for name, each in kept.items()}
        kept |= {each.name: each for each in found}
    templates = Templates(kept.values())
    if not problems:
        problems = templates.check()
    if problems:
        raise TemplateError(problems)
    return templates


def _without(template: JobTemplate, features: Collection[str | None]) -> JobTemplate:
    return replace(template, feature=None) if template.feature in features else template


def _load_folder(folder: Path, problems: list[Problem]) -> list[JobTemplate]:
    by_name: dict[str, JobTemplate] = {}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        try:
            template = read_template(_read_text(path, folder), str(path))
        except InvalidError as error:
            problems += error.problems
            continue
        other = by_name.setdefault(template.name, template)
        if other is not template:
            message = f"the name `{template.name}` is taken by {other.file}"
            problems.append(Problem(message, Place(template.file, 1), rule=RULE))
    return list(by_name.values())


def _read_text(path: Path, folder: Path) -> str:
    """The text of a template file; refuses what a hostile repository could put there."""

    def refuse(message: str, hint: str | None = None) -> TemplateError:
        return TemplateError(Problem(message, Place(str(path)), hint, RULE))

    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise refuse("leads out of the templates folder", "copy the file instead of linking to it")
        if not path.is_file():
            raise refuse("is no regular file")
        if path.stat().st_size > _MAX_BYTES:
            raise refuse(f"is larger than {_MAX_BYTES // 1024} KiB")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"is not UTF-8 at byte {error.start}") from error
    except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError up to Python 3.12
        raise refuse(f"cannot be read: {error}") from error
