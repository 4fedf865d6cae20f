"""Every example of the repository validates, renders, and really runs, on embedded hosts."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargehand.lab import Lab, doubles
from chargehand.project import Project
from warm import run_command

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "playbooks").iterdir() if path.is_file())
YAML_EXAMPLES = [path for path in EXAMPLES if path.suffix == ".yml"]


def chargehand(*words: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"NO_COLOR": "1"}
    ended = run_command([*map(str, words)], folder=folder, environ=environ, stdin="", timeout_s=120)
    return subprocess.CompletedProcess(words, *ended)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    hosts = doubles(Project.load(ROOT).inventory)
    with Lab(tmp_path_factory.mktemp("examples") / "lab", hosts) as lab:
        yield lab.inventory


def blocks(page: str, language: str) -> list[str]:
    """The examples in one language on a page of the documentation."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return [each[1] for each in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def test_the_jobs_and_the_calendar_on_the_page_about_scheduling_are_valid(tmp_path: Path) -> None:
    assert chargehand("init", ".", folder=tmp_path).returncode == 0
    for number, text in enumerate(blocks("scheduling.md", "yaml")):
        (tmp_path / "playbooks" / f"{number}.yml").write_text(text, encoding="utf-8")
    (calendar,) = blocks("scheduling.md", "text")
    (tmp_path / "playbooks" / "freeze.ics").write_text(calendar, encoding="utf-8")
    (settings,) = blocks("scheduling.md", "toml")
    with (tmp_path / "chargehand.toml").open("a", encoding="utf-8") as file:
        file.write(settings)
    done = chargehand("validate", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert blocks("scheduling.md", "yaml")


def test_the_example_that_recurs_says_when_it_runs_next() -> None:
    done = chargehand("plan", "playbooks/nightly.yml")
    assert done.returncode == 0, done.stderr
    assert "30 4 * * *" in done.stdout


def test_every_example_is_valid_without_a_warning() -> None:
    done = chargehand("validate", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert [Path(file).name for file in report["files"]] == [path.name for path in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_every_host_answers(example: Path, fleet: Path) -> None:
    done = chargehand("run", example.relative_to(ROOT), "-i", fleet, "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for job in answer if isinstance(answer, list) else [answer]:
        assert job["status_label"] == "succeeded"
        assert job["results"]
        assert [one["stdout"] for one in job["results"] if not one["stdout"]] == []


def test_the_api_documentation_s_example_gives_the_answer_it_documents(fleet: Path) -> None:
    answer = json.loads(chargehand("run", "playbooks/seed.json", "-i", fleet, "-o", "json").stdout)
    assert answer["description"] == "Job template 181 with inputs Template input 59=\"''\""
    assert answer["job_category"] == "Job name 186"
    assert answer["targeting"] == answer["targeting"] | {
        "bookmark_id": None,
        "search_query": "name ^ (host137, host138)",
        "targeting_type": "static_query",
        "randomized_ordering": None,
        "hosts": [
            {"name": "host137", "id": 132, "display_name": "host137"},
            {"name": "host138", "id": 133, "display_name": "host138"},
        ],
    }


def test_the_first_command_of_the_readme_runs_on_five_embedded_hosts() -> None:
    done = chargehand("run", "playbooks/hello.yml", "--lab", "5")
    assert done.returncode == 0, done.stderr
    assert "total 5 hosts" in done.stdout


@pytest.mark.parametrize("example", YAML_EXAMPLES, ids=lambda path: path.name)
def test_the_first_line_of_an_example_names_the_schema(example: Path) -> None:
    first = example.read_text(encoding="utf-8").splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")
    assert (example.parent / name).resolve() == ROOT / "schemas" / "job.schema.json"
    assert (example.parent / name).is_file()
