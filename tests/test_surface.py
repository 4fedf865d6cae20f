"""What the package shows to the outside: light imports, honest `__all__`, entry points, small modules."""

import dataclasses
import inspect
import os
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import walk_packages

import click
import pytest

import chargehand
from chargehand.cli.application import application
from chargehand.cli.command import Command, find

SOURCE = Path(chargehand.__file__).parent
PROGRAM = Path(sys.executable).with_name("chargehand")
HEAVY = (
    "alembic",
    "asyncssh",
    "croniter",
    "cryptography",
    "fabric",
    "invoke",
    "jinja2",
    "jsonschema",
    "paramiko",
    "rich",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "yaml",
)


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


EVERY = dict(commands(application()))
ANSWERED = {path: command for path, command in EVERY.items() if isinstance(command, Command)}
MODULES = sorted(
    module.name
    for module in walk_packages(chargehand.__path__, "chargehand.")
    if not module.name.endswith(("__main__", ".migrations.env"))  # alembic alone can import the latter
)


def test_no_help_imports_a_heavy_library() -> None:
    lines = [["--help"], ["--version"], *([*path, "--help"] for path in EVERY)]
    script = (
        "import sys\n"
        "from chargehand.cli.application import status\n"
        f"assert [status(line) for line in {lines!r}] == [0] * {len(lines)}\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == "\n"


READING = {"yaml"}
IMPORTED = {
    "list": set(),
    "list 'host = web1'": set(),
    "show last": set(),
    "output last": set(),
    "diff last last": set(),
    "schedule list": {"croniter", *READING},
    "schedule next": {"croniter", *READING},
    "hosts": READING,
    "templates": READING,
    "features": READING,
    "bookmarks": READING,
    "schema": READING,
    "validate": {"jinja2", *READING},
    "plan playbooks/hello.yml": {"jinja2", *READING},
    "render playbooks/hello.yml -l web1.example.com": READING,
    "exec -i here.ini all -- true": READING,
}
"""What of the heavy libraries a command imports at most, in a project with a history."""

ASKED = {"show ": set(), "plan ": READING, "templates ": READING}
"""The same of a shell that completes what was typed so far."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "here.ini").write_text("here ansible_connection=local\n", encoding="utf-8")
    for line in ("init", "exec -i here.ini all -- true"):
        subprocess.run([PROGRAM, *shlex.split(line)], cwd=folder, check=True, capture_output=True)
    return folder


def imported(project: Path, line: str, names: Collection[str] = HEAVY, **environ: str) -> set[str]:
    """The heavy libraries that a command imports, or others of these `names`."""
    script = (
        "import sys\n"
        "from chargehand.cli.application import status\n"
        "try:\n    sys.exit(status(sys.argv[1:]))\n"
        "finally:\n"
        f"    print(*(name for name in {names!r} if name in sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *shlex.split(line)],
        cwd=project,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(("line", "libraries"), IMPORTED.items(), ids=IMPORTED)
def test_a_command_imports_no_library_that_it_does_not_need(
    project: Path, line: str, libraries: set[str]
) -> None:
    assert imported(project, line) <= libraries


OTHERS = {
    "exec -i here.ini all -- true": (
        "asyncio", "chargehand.cli.planned", "chargehand.cli.submission", "chargehand.git.mirror",
        "chargehand.git.signature", "chargehand.lab", "chargehand.past.runsearch", "chargehand.reconcile",
        "chargehand.notify.message", "chargehand.recovery", "chargehand.recurring.once", "chargehand.vault",
        "email", "importlib.metadata", "zipfile",
    ),
    "plan playbooks/hello.yml": (
        "chargehand.cli.changes", "chargehand.execution", "chargehand.notify.message",
        "chargehand.recurring.decision", "chargehand.ssh", "chargehand.store", "chargehand.vault", "html",
        "logging",
    ),
    "validate": (
        "chargehand.cli.findings", "chargehand.execution", "chargehand.ssh", "chargehand.store",
        "chargehand.vault", "logging", "xml",
    ),
}  # fmt: skip
"""What a command of every day does not import, since only others use it."""


@pytest.mark.parametrize(("line", "others"), OTHERS.items(), ids=OTHERS)
def test_a_command_imports_nothing_that_only_others_use(
    project: Path, line: str, others: tuple[str, ...]
) -> None:
    assert imported(project, line, others) == set()


@pytest.mark.parametrize(("typed", "libraries"), ASKED.items(), ids=ASKED)
def test_a_shell_that_completes_imports_no_library_that_it_does_not_need(
    project: Path, typed: str, libraries: set[str]
) -> None:
    words = {"COMP_WORDS": f"chargehand {typed}", "COMP_CWORD": str(len(typed.split()) + 1)}
    assert imported(project, "", _CHARGEHAND_COMPLETE="bash_complete", **words) <= libraries


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    text = EVERY[path].help or ""
    assert text.splitlines()[0].endswith(".")
    assert "chargehand " + path[0] in text


@pytest.mark.parametrize("path", ANSWERED, ids=" ".join)
def test_every_parameter_of_a_command_reaches_its_answer(path: tuple[str, ...]) -> None:
    command = ANSWERED[path]
    request = find(f"requests.{command.request}")
    assert isinstance(request, type)
    fields = {field.name for field in dataclasses.fields(request)}
    assert {param.name for param in command.params if param.expose_value} == fields
    (parameter,) = inspect.signature(find(command.answer)).parameters.values()
    assert parameter.annotation is request


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    options = [param for param in EVERY[path].params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_its_all_is_true(name: str) -> None:
    module = import_module(name)
    names = list(getattr(module, "__all__", []))
    assert len(names) == len(set(names))
    assert [missing for missing in names if not hasattr(module, missing)] == []


def test_every_entry_point_leads_somewhere() -> None:
    for group in ("console_scripts", "chargehand.providers"):
        ours = [point for point in entry_points(group=group) if point.value.startswith("chargehand.")]
        assert ours
        assert all(callable(point.load()) for point in ours)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
