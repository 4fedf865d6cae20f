"""What Fabric, paramiko and PyYAML are spared while they load, and that it is there for whoever wants it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SPARED = ("asyncio", "email", "importlib.metadata", "invoke.vendor.yaml", "unittest.mock", "zipfile")


def said(*lines: str, beside: Sequence[str] = ()) -> list[str]:
    """What a Python of its own prints, with more folders to look for packages in."""
    script = "\n".join(
        [f"import sys; sys.path[:0] = {[*beside]!r}", "from importlib import import_module", *lines]
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_what_is_spared_is_not_loaded() -> None:
    line = f"print(*(name for name in {SPARED!r} if name in sys.modules))"
    assert said("import chargehand.ssh", line) == [""]


@pytest.mark.parametrize("name", ["importlib.metadata", "invoke.vendor.yaml", "unittest.mock"])
def test_whoever_imports_it_later_has_the_real_one(name: str) -> None:
    line = f"module = import_module({name!r}); print(type(module).__name__, module.__spec__.name)"
    assert said("import chargehand.ssh", line) == [f"module {name}"]


def test_what_was_there_before_stays() -> None:
    lines = (
        "import importlib.metadata, unittest.mock",
        "import chargehand.ssh, invoke.context, paramiko",
        "print(paramiko.metadata is importlib.metadata, invoke.context.Mock is unittest.mock.Mock)",
    )
    assert said(*lines) == ["True True"]


def test_invoke_reads_yaml_and_mocks_as_ever(tmp_path: Path) -> None:
    (tmp_path / "invoke.yaml").write_text("run: {echo: true}\n", encoding="utf-8")
    lines = (
        "import chargehand.ssh, invoke",
        f"config = invoke.Config(project_location={str(tmp_path)!r}); config.load_project()",
        "context = invoke.MockContext(run={'id': invoke.Result('root')})",
        "print(config.run.echo, context.run('id').stdout, context.run.call_count)",
    )
    assert said(*lines) == ["True root 1"]


def test_paramiko_knows_its_version_and_where_to_look_for_others() -> None:
    lines = (
        "import chargehand.ssh, paramiko",
        "from importlib.metadata import PackageNotFoundError, version",
        "print(paramiko.__version__ == version('paramiko'))",
        "print(paramiko.metadata.PackageNotFoundError is PackageNotFoundError)",
    )
    assert said(*lines) == ["True", "True"]


@pytest.mark.parametrize("names", [["paramiko-5.1.dist-info", "paramiko-9.dist-info"], ["paramiko.egg-info"]])
def test_a_version_that_no_name_of_a_folder_tells_is_looked_up(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        for file in ("METADATA", "PKG-INFO"):
            (tmp_path / name / file).write_text("Name: paramiko\nVersion: 5.7\n", encoding="utf-8")
    line = "import chargehand.ssh, paramiko; print(paramiko.__version__, 'email' in sys.modules)"
    assert said(line, beside=[str(tmp_path)]) == ["5.7 True"]


SCALARS = (
    "[1, 0x1f, 0b11, 017, 1:30, 1.5, 1:30.5, .inf, yes, ~, 2026-01-01, 2026-01-01T01:02:03.5+01:00, text]"
)


def test_yaml_means_the_same_with_expressions_that_are_compiled_later() -> None:
    read = (
        "import yaml",
        f"print(yaml.load({SCALARS!r}, yaml.SafeLoader))",
        f"print(yaml.load({SCALARS!r}, yaml.CSafeLoader))",
        "print(yaml.safe_dump(['1', 1, 'yes', '2026-01-01']))",
        "try:\n    yaml.load('\\x01', yaml.SafeLoader)\nexcept yaml.YAMLError as error:\n    print(error)",
    )
    assert said("import chargehand.document", *read) == said(*read) != []


def test_yaml_loads_with_the_expression_that_takes_longest_not_compiled() -> None:
    lines = (
        "import re, chargehand.document, yaml, copy",
        "expression = yaml.reader.Reader.NON_PRINTABLE",
        "print(isinstance(expression, re.Pattern), sys.modules['re'] is re)",
        "print(copy.copy(expression).search('a\\0').start())",
    )
    assert said(*lines) == ["False True", "1"]
