"""Plan: how every host is reached and as whom, which hosts are kept, and what a preview shows."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chargehand.compose import Overrides
from chargehand.errors import (
    InvalidError,
    NoHostMatchedError,
    PolicyError,
    SecretError,
    UnknownHostError,
    UsageError,
)
from chargehand.plan import EVERY_HOST, NO_ACCESS, Access, Plan, Selection
from chargehand.project import Project
from chargehand.reference import refuse_prompt
from chargehand.secret import Secret

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)

LEVELS = {
    "invocation": {
        "ssh_user": "of-job",
        "password": {"env": "JOB_PASSWORD"},
        "key_passphrase": {"env": "JOB_KEY"},
    },
    "host": {
        "ansible_user": "of-host",
        "ansible_password": "host password",
        "ansible_private_key_file": "/host/key",
        "ansible_ssh_private_key_passphrase": "host passphrase",
        "ansible_become_password": "host sudo",
        "ansible_become_user": "become-of-host",
    },
    "setting": {
        "ssh_user": "of-setting",
        "password": {"env": "SETTING_PASSWORD"},
        "key_passphrase": {"env": "SETTING_KEY"},
        "private_key_file": "/setting/key",
        "effective_user": "become-of-setting",
        "effective_user_password": {"env": "SETTING_SUDO"},
    },
}
ENVIRONMENT = {
    "JOB_PASSWORD": "job password",
    "JOB_KEY": "job passphrase",
    "JOB_SUDO": "job sudo",
    "SETTING_PASSWORD": "setting password",
    "SETTING_KEY": "setting passphrase",
    "SETTING_SUDO": "setting sudo",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def project(
    folder: Path,
    script: str | None = "true",
    *,
    hosts: dict[str, dict[str, object]] | None = None,
    settings: dict[str, object] | None = None,
    own: dict[str, object] | None = None,
    **invocation: object,
) -> Project:
    """A project with one job, which runs `script` on all of `hosts`."""
    (folder / "playbooks").mkdir()
    (folder / "inventory").mkdir()
    job = {
        "name": "job",
        **({} if script is None else {"script": script}),
        "job_invocation": {"targeting_type": "dynamic_query", "search_query": "*"} | invocation,
    }
    (folder / "playbooks" / "job.json").write_text(json.dumps(job | (own or {})))
    listed = {"all": {"hosts": {"web1": {}} if hosts is None else hosts}}
    (folder / "inventory" / "hosts.yml").write_text(json.dumps(listed))
    lines = [f"{key} = {toml(value)}\n" for key, value in (settings or {}).items()]
    (folder / "chargehand.toml").write_text("".join(lines))
    return Project.load(folder, clock=lambda: NOW)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {json.dumps(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def prepared(found: Project, access: Access = NO_ACCESS, overrides: Overrides | None = None) -> Plan:
    """The plan that would run."""
    (job,) = found.jobs
    invocation = found.compose(job, overrides or Overrides())
    return found.prepare(invocation, found.choose_hosts(invocation), access=access, prompt=refuse_prompt)


def at_levels(folder: Path, *levels: str, **own: object) -> Project:
    """A project in which every level that is named says everything it can say."""
    return project(
        folder,
        hosts={"web1": LEVELS["host"] if "host" in levels else {}},
        settings=LEVELS["setting"] if "setting" in levels else {},
        **(LEVELS["invocation"] if "invocation" in levels else {}) | own,
    )


# -- who logs in, and with what -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "user", "password", "passphrase", "key"),
    [
        (["invocation", "host", "setting"], "of-job", "job password", "job passphrase", "/host/key"),
        (["host", "setting"], "of-host", "host password", "host passphrase", "/host/key"),
        (["setting"], "of-setting", "setting password", "setting passphrase", "/setting/key"),
        ([], None, None, None, None),
    ],
)
def test_the_invocation_goes_before_the_host_and_the_host_before_the_setting(
    tmp_path, levels, user, password, passphrase, key
):
    (share,) = prepared(at_levels(tmp_path, *levels)).template_invocations
    settings = share.settings
    assert settings.user == user
    assert settings.password == (password and Secret(password))
    assert settings.key_passphrase == (passphrase and Secret(passphrase))
    assert settings.private_key_file == key


def test_the_command_line_goes_before_everything(tmp_path):
    access = Access(
        password=Secret("asked"),
        effective_user_password=Secret("asked too"),
        private_key_file="/cli/key",
        effective_user="become-of-cli",
    )
    found = at_levels(tmp_path, "invocation", "host", "setting", ssh={"effective_user": "become-of-job"})
    (share,) = prepared(found, access, Overrides(ssh_user="of-cli")).template_invocations
    assert share.settings.user == "of-cli"
    assert share.settings.password == Secret("asked")
    assert share.settings.private_key_file == "/cli/key"
    assert share.script.become.user == "become-of-cli"
    assert share.script.become.password == Secret("asked too")
    assert set(share.secrets) >= {Secret("asked"), Secret("asked too"), Secret("job passphrase")}


# -- who the script runs as -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "own", "user", "password"),
    [
        (
            ["host", "setting"],
            {"effective_user": "become-of-job", "effective_user_password": {"env": "JOB_SUDO"}},
            "become-of-job",
            "job sudo",
        ),
        (["host", "setting"], {"effective_user": "become-of-job"}, "become-of-job", "host sudo"),
        (["host", "setting"], {}, "become-of-host", "host sudo"),
        (["setting"], {}, "become-of-setting", "setting sudo"),
        ([], {}, "root", None),
    ],
)
def test_the_effective_user_goes_by_the_same_levels(tmp_path, levels, own, user, password):
    (share,) = prepared(at_levels(tmp_path, *levels, ssh=own)).template_invocations
    assert share.script.become.user == user
    assert share.script.become.password == (password and Secret(password))


def test_the_template_s_effective_user_goes_before_the_host_s(tmp_path):
    found = project(tmp_path, None, hosts={"web1": LEVELS["host"]}, job_template_id="Own")
    (tmp_path / "playbooks" / "templates").mkdir()
    (tmp_path / "playbooks" / "templates" / "own.j2").write_text(
        "{#\nname: Own\njob_category: Test\neffective_user: {value: of-template}\n#}\ntrue\n"
    )
    (share,) = prepared(found).template_invocations
    assert share.script.become.user == "of-template"


@pytest.mark.parametrize(
    ("values", "own"),
    [
        ({"ansible_user": "ops"}, {"effective_user": "ops"}),
        ({"ansible_user": "root"}, {}),
        ({"ansible_become": False}, {}),
    ],
)
def test_nobody_is_switched_to_when_the_ssh_user_is_the_effective_user_or_the_host_says_no(
    tmp_path, values, own
):
    (share,) = prepared(project(tmp_path, hosts={"web1": values}, ssh=own)).template_invocations
    assert share.script.become is None


def test_the_method_its_program_and_its_flags_are_the_host_s(tmp_path):
    values = {
        "ansible_become_method": "doas",
        "ansible_become_exe": "/opt/doas",
        "ansible_become_flags": "-a -b",
    }
    found = project(tmp_path, hosts={"a": values, "b": {}}, settings={"effective_user_method": "su"})
    first, second = (share.script.become for share in prepared(found).template_invocations)
    assert (first.method, first.executable, first.flags) == ("doas", "/opt/doas", ("-a", "-b"))
    assert (second.method, second.executable, second.flags) == ("su", None, ())


def test_a_connection_variable_that_is_not_understood_stops_the_plan_for_all(tmp_path):
    found = project(tmp_path, hosts={"a": {"ansible_port": "many"}, "b": {}, "c": {"ansible_user": "-x"}})
    with pytest.raises(InvalidError) as refused:
        prepared(found)
    assert len(refused.value.problems) == 2
    assert all(problem.place and problem.place.line for problem in refused.value.problems)


# -- how long -------------------------------------------------------------------------------------------


def test_the_timeout_of_the_job_goes_before_that_of_the_settings(tmp_path):
    found = project(tmp_path, settings={"execution_timeout_interval": 9}, execution_timeout_interval=5)
    (share,) = prepared(found).template_invocations
    assert share.script.timeout_s == 5


def test_the_timeout_of_the_settings_holds_when_nothing_else_says(tmp_path):
    (share,) = prepared(project(tmp_path, settings={"execution_timeout_interval": 9})).template_invocations
    assert share.script.timeout_s == 9


# -- scripts --------------------------------------------------------------------------------------------


def test_a_host_whose_script_does_not_render_fails_alone(tmp_path):
    hosts = {"a": {"port": 80}, "b": {}, "c": {"port": 81}}
    plan = prepared(project(tmp_path, "serve {{ host_param('port') }}", hosts=hosts))
    first, second, third = plan.template_invocations
    assert (first.script.content, third.script.content) == (b"serve 80", b"serve 81")
    assert second.script is None
    assert second.trouble.code
    assert "port" in second.trouble.reason
    assert list(plan.troubles.values()) == [("b",)]


SECRET_JOB = {"template_inputs": [{"name": "token", "hidden_value": True}, {"name": "word", "default": "x"}]}


def test_a_preview_shows_no_secret_and_looks_none_up(tmp_path, monkeypatch):
    monkeypatch.delenv("JOB_PASSWORD")
    found = project(
        tmp_path,
        "use {{ input('token') }} {{ input('word') }}",
        own=SECRET_JOB,
        inputs={"token": {"command": ["touch", str(tmp_path / "ran")]}},
        password={"env": "JOB_PASSWORD"},
    )
    (job,) = found.jobs
    plan = found.plan(job)
    assert plan.preview
    assert plan.template_invocations[0].script.content == b"use *** x"
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UsageError):
        found.execute(plan)


def test_what_runs_has_the_secret_and_knows_to_mask_it(tmp_path):
    found = project(
        tmp_path, "use {{ input('token') }}", own=SECRET_JOB, inputs={"token": {"env": "JOB_SUDO"}}
    )
    plan = prepared(found)
    (share,) = plan.template_invocations
    assert share.script.content == b"use job sudo"
    assert Secret("job sudo") in share.secrets
    assert "job sudo" not in repr(plan)


def test_a_hidden_input_of_the_command_line_is_a_secret_from_there_on(tmp_path):
    found = project(tmp_path, "use {{ input('token') }}", own=SECRET_JOB)
    plan = prepared(found, overrides=Overrides(inputs={"token": "typed-canary"}))
    assert plan.template_invocations[0].script.content == b"use typed-canary"
    assert "canary" not in repr(plan)
    assert "token" not in plan.invocation.inputs


def test_every_secret_that_cannot_be_had_is_told(tmp_path):
    found = project(
        tmp_path,
        password={"env": "NOWHERE"},
        key_passphrase={"file": "nothing"},
        ssh={"effective_user_password": {"prompt": True}},
    )
    with pytest.raises(SecretError) as refused:
        prepared(found)
    assert len(refused.value.problems) == 3


# -- which hosts ----------------------------------------------------------------------------------------

FIVE = {f"web{number}": {} for number in range(5)}


def chosen(found: Project, selection: Selection = EVERY_HOST) -> list[str]:
    (job,) = found.jobs
    return [host.name for host in found.choose_hosts(found.compose(job), selection)]


def test_a_limit_and_an_exclusion_keep_what_is_left(tmp_path):
    found = project(tmp_path, hosts=FIVE)
    assert chosen(found, Selection(limit="web*,!web3", exclude="name = web1")) == ["web0", "web2", "web4"]


@pytest.mark.parametrize(
    ("own", "selection"),
    [
        ({"search_query": "name = nobody"}, Selection()),
        ({}, Selection(limit="name = nobody")),
        ({}, Selection(limit="web9*")),
        ({}, Selection(exclude="all")),
    ],
)
def test_nobody_is_an_error_of_its_own(tmp_path, own, selection):
    with pytest.raises(NoHostMatchedError) as refused:
        chosen(project(tmp_path, hosts=FIVE, **own), selection)
    assert refused.value.exit_code == 4


def test_nobody_is_fine_where_the_job_says_so(tmp_path):
    assert chosen(project(tmp_path, own={"allow_empty": True}, search_query="name = nobody")) == []


def test_more_hosts_than_the_job_allows_are_refused(tmp_path):
    with pytest.raises(PolicyError, match="5 hosts match") as refused:
        chosen(project(tmp_path, hosts=FIVE, own={"max_targets": 4}))
    assert refused.value.exit_code == 12


def test_names_stand_for_the_targeting_and_keep_their_order(tmp_path):
    found = project(tmp_path, hosts=FIVE, own={"max_targets": 3})
    assert chosen(found, Selection(names=("web3", "web0", "web3"))) == ["web3", "web0"]
    assert chosen(found, Selection(names=("web3", "web0"), exclude="web0")) == ["web3"]


def test_a_name_that_the_inventory_does_not_have_is_refused(tmp_path):
    found = project(tmp_path, hosts=FIVE)
    with pytest.raises(UnknownHostError, match="the job sees no host `web8`, `web9`"):
        chosen(found, Selection(names=("web1", "web8", "web9")))


def test_no_names_are_nobody(tmp_path):
    with pytest.raises(NoHostMatchedError):
        chosen(project(tmp_path, hosts=FIVE), Selection(names=()))


def test_a_limit_that_leaves_few_enough_is_allowed(tmp_path):
    found = project(tmp_path, hosts=FIVE, own={"max_targets": 4})
    assert len(chosen(found, Selection(exclude="web0"))) == 4


# -- when -----------------------------------------------------------------------------------------------


def test_what_is_scheduled_for_later_does_not_run_now_unless_told_to(tmp_path):
    found = project(tmp_path, scheduling={"start_at": "2027-01-16T00:00:00Z"})
    with pytest.raises(UsageError, match=r"`job` starts at 2027-01-16T00:00:00Z .*--now") as refused:
        prepared(found)
    assert refused.value.exit_code == 2
    (job,) = found.jobs
    assert len(found.plan(job).hosts) == 1
    assert len(prepared(found, overrides=Overrides(start_now=True)).hosts) == 1


def test_a_start_before_alone_does_not_put_a_run_off(tmp_path):
    assert prepared(project(tmp_path, scheduling={"start_before": "2027-01-16T00:00:00Z"})).hosts
