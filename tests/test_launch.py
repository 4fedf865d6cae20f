"""Launch: what is kept of a launch is enough to repeat it, and holds no secret."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from chargehand.compose import NO_OVERRIDES, Overrides
from chargehand.document import parse
from chargehand.invocation import JobInvocation
from chargehand.job import read_jobs
from chargehand.launch import launch_of, sources_of
from chargehand.plan import NO_ACCESS, Access
from chargehand.project import Project
from chargehand.provenance import Launch
from chargehand.secret import Secret

CANARY = "wG7-canary-Zq3"
DECLARED = [{"name": "port"}, {"name": "token", "hidden_value": True}]


def compose(root: Path, text: str, overrides: Overrides = NO_OVERRIDES) -> JobInvocation:
    (root / "inventory").mkdir(exist_ok=True)
    (root / "inventory" / "hosts.ini").write_text("web1\n")
    (root / "chargehand.toml").write_text('plain_secrets = "allow"\n')
    (job,) = read_jobs(parse(text, "job.yml"))
    return Project.load(root).compose(job, overrides)


def job(body: Mapping[str, object] | None = None, **own: object) -> str:
    everybody = {"targeting_type": "static_query", "search_query": "*"}
    whole = {"script": "true", "job_invocation": everybody | dict(body or {}), "template_inputs": DECLARED}
    return json.dumps(whole | own)


def kept(
    root: Path, text: str, overrides: Overrides = NO_OVERRIDES, access: Access = NO_ACCESS
) -> tuple[Launch, dict[str, object]]:
    invocation = compose(root, text, overrides)
    launch = launch_of(invocation, overrides=overrides, access=access, root=root)
    assert CANARY not in str(asdict(launch))
    found = json.loads(launch.job)
    assert isinstance(found, dict)
    return launch, found


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"password": CANARY}, "job_invocation.password"),
        ({"key_passphrase": CANARY}, "job_invocation.key_passphrase"),
        ({"ssh": {"effective_user_password": CANARY}}, "job_invocation.ssh.effective_user_password"),
        ({"inputs": {"token": CANARY}}, "job_invocation.inputs.token"),
    ],
)
def test_a_secret_that_is_written_out_is_left_out_and_named(
    tmp_path: Path, body: Mapping[str, object], path: str
) -> None:
    launch, _ = kept(tmp_path, job(body))
    assert launch.left_out == (path,)


def test_an_encrypted_secret_is_left_out_and_named(tmp_path: Path) -> None:
    text = f"""
script: "true"
job_invocation:
  targeting_type: static_query
  search_query: "*"
  password: !vault |
    $ANSIBLE_VAULT;1.1;AES256
    {CANARY}
"""
    assert kept(tmp_path, text)[0].left_out == ("job_invocation.password",)


def test_a_reference_to_a_secret_is_kept(tmp_path: Path) -> None:
    body = {"password": {"env": "PASSWORD"}, "inputs": {"token": {"file": "token"}}}
    launch, found = kept(tmp_path, job(body))
    assert launch.left_out == ()
    assert found["job_invocation"] == {"targeting_type": "static_query", "search_query": "*", **body}


def test_where_somebody_is_notified_is_not_kept(tmp_path: Path) -> None:
    launch, found = kept(tmp_path, job(notify=[{"url": f"https://hooks.example.com/{CANARY}"}]))
    assert "notify" not in found
    assert launch.left_out == ()


def test_what_the_command_line_said_is_kept_without_its_secrets(tmp_path: Path) -> None:
    overrides = Overrides(inputs={"port": "0080", "token": CANARY}, ssh_user="deploy", concurrency_level=3)
    access = Access(
        password=Secret(CANARY),
        effective_user_password=Secret(CANARY),
        private_key_file="/keys/one",
        effective_user="",
    )
    launch, _ = kept(tmp_path, job(), overrides, access)
    assert launch.inputs == {"port": "0080"}
    assert launch.left_out == ("-e token", "-k", "-K")
    assert (launch.ssh_user, launch.concurrency_level) == ("deploy", 3)
    assert (launch.effective_user, launch.private_key_file) == ("", "/keys/one")


@pytest.mark.parametrize("written", ["0755", "1.10", "22:30", "true", "1e3"])
def test_an_input_is_kept_as_it_was_written(tmp_path: Path, written: str) -> None:
    text = f"""
script: "true"
template_inputs: [{{name: port}}]
job_invocation: {{targeting_type: static_query, search_query: "*", inputs: {{port: {written}}}}}
"""
    before = compose(tmp_path, text)
    launch = launch_of(before, overrides=NO_OVERRIDES, access=NO_ACCESS, root=tmp_path)
    assert compose(tmp_path, launch.job).inputs == before.inputs == {"port": written}


def test_one_job_of_a_list_is_kept_alone(tmp_path: Path) -> None:
    first, second = (json.loads(job(name=name)) for name in ("first", "second"))
    project = Project.load(tmp_path)
    compose(tmp_path, job())  # writes the inventory
    _, chosen = read_jobs(parse(json.dumps([first, second]), "jobs.json"))
    launch = launch_of(project.compose(chosen), overrides=NO_OVERRIDES, access=NO_ACCESS, root=tmp_path)
    assert json.loads(launch.job)["name"] == "second"


@pytest.mark.parametrize(
    ("given", "kept_as", "found_as"),
    [
        ("hosts.ini", "production/hosts.ini", "{root}/production/hosts.ini"),
        ("../elsewhere", "elsewhere", "{root}/elsewhere"),
        ("/etc/hosts", "/etc/hosts", "/etc/hosts"),
        ("web1,web2,", "web1,web2,", "web1,web2,"),
    ],
)
def test_inventory_sources_are_found_again_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, kept_as: str, found_as: str
) -> None:
    (tmp_path / "production").mkdir()
    invocation = compose(tmp_path, job())
    monkeypatch.chdir(tmp_path / "production")
    launch = launch_of(invocation, overrides=NO_OVERRIDES, access=NO_ACCESS, inventory=[given], root=tmp_path)
    monkeypatch.chdir("/")
    assert launch.inventory == (kept_as,)
    assert sources_of(launch, tmp_path) == (found_as.format(root=tmp_path),)
