"""The shipped templates, really run: with stand-ins for programs that would change this machine."""

import base64
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

from chargehand.errors import TemplateError
from chargehand.host import Host
from chargehand.render.lint import lint
from chargehand.render.renderer import Renderer
from chargehand.template import SHIPPED_FOLDER, Templates, fill_values, load_templates

HOST = Host(name="web1", id=1)
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]]
VARIANTS = [
    ("Run Command", {"command": "echo a; echo b"}),
    ("Script", {"script": "#!/bin/sh\necho a\n"}),
    *(
        ("Package Action", {"action": action, "package": "a b"})
        for action in ("install", "update", "upgrade", "remove")
    ),
    ("Package Action", {"action": "update"}),
    *(
        ("Service Action", {"service": "a b", "action": action})
        for action in ("restart", "enable", "disable")
    ),
    *(
        ("Power Action", {"action": action, "message": "it's time"})
        for action in ("restart", "shutdown", "status", "cancel")
    ),
    ("Puppet Run", {}),
    (
        "Puppet Run",
        {"noop": "true", "environment": "a b", "tags": "x,y", "puppet_options": "--debug --trace"},
    ),
    ("File Upload", {"path": "/tmp/it's a file", "content": "it's\n"}),
    ("File Upload", {"path": "/tmp/x", "content": "eA==", "encoding": "base64", "owner": "root:root"}),
    *(("Reboot and wait", {"step": step}) for step in ("reboot", "confirm")),
]


@pytest.fixture(scope="module")
def templates() -> Templates:
    return load_templates([SHIPPED_FOLDER])


@pytest.fixture(scope="module")
def renderer(templates) -> Iterator[Renderer]:
    with Renderer(templates) as renderer:
        yield renderer


@pytest.fixture
def script(templates, renderer):
    """The script of a shipped template, by its name and inputs."""

    def render(name: str, **values: str) -> str:
        template = templates.find(name)
        inputs = fill_values(templates.inputs_of(template), values)
        return renderer.render(template, inputs, HOST)

    return render


@pytest.fixture
def stage(tmp_path):
    """Run a script where `programs` write their arguments into a log instead of doing anything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "log"
    for program in ("cat", "sh", "sleep", "uname", "uptime", "mkdir", "rm", "env", "setsid", "nohup"):
        (folder / program).symlink_to(str(shutil.which(program)))

    def run(
        text: str, *programs: str, status: int = 0, shell: Sequence[str] = ("dash",)
    ) -> tuple[int, list[str]]:
        for program in programs:
            own = folder / program
            own.write_text(f'#!/bin/sh\necho {program} "$@" >>{log}\nexit {status}\n')
            own.chmod(0o755)
        # other folders that a script adds to PATH would bring the real programs in
        text = re.sub(r"^PATH=.*$", "", text, flags=re.MULTILINE)
        interpreter = [str(shutil.which(shell[0])), *shell[1:]]
        ran = subprocess.run(
            interpreter,
            input=text,
            text=True,
            env={"PATH": str(folder)},
            capture_output=True,
            timeout=30,
            check=False,
        )
        calls = log.read_text().splitlines() if log.exists() else []
        return ran.returncode, calls

    return run


# all of them


def test_the_shipped_templates_are_those_of_the_documentation(templates):
    assert [each.name for each in templates if not each.snippet] == [
        "File Upload",
        "Package Action",
        "Power Action",
        "Puppet Run",
        "Reboot and wait",
        "Run Command",
        "Script",
        "Service Action",
    ]
    assert {label: each.name for label, each in templates.features.items()} == {
        "puppet_run_host": "Puppet Run",
        "run_script": "Run Command",
    }


def test_no_shipped_template_is_suspicious(templates):
    assert [str(problem) for each in templates for problem in lint(each, templates)] == []


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(("name", "values"), VARIANTS, ids=lambda each: each if isinstance(each, str) else "")
def test_every_variant_is_a_script_for_every_shell(script, shell, name, values):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    text = script(name, **values)
    ran = subprocess.run([*shell, "-n"], input=text, text=True, capture_output=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert text.endswith("\n")


# commands and scripts


def test_a_command_runs_as_it_stands(script):
    text = script("Run Command", command="for x in 1 2; do printf '%s,' \"$x\"; done")
    assert subprocess.check_output(["dash"], input=text, text=True) == "1,2,"


def test_a_script_keeps_its_interpreter_on_the_first_line(script):
    assert script("Script", script="#!/usr/bin/python3\nprint(1)").splitlines()[0] == "#!/usr/bin/python3"


# packages


@pytest.mark.parametrize(
    ("manager", "action", "package", "calls"),
    [
        ("dnf", "install", "a b", ["dnf -y install a b"]),
        ("dnf", "upgrade", "", ["dnf -y upgrade"]),
        ("dnf", "remove", "a", ["dnf -y remove a"]),
        ("yum", "update", "a", ["yum -y update a"]),
        ("zypper", "install", "a", ["zypper --non-interactive install a"]),
        ("zypper", "upgrade", "", ["zypper --non-interactive update"]),
        ("apk", "install", "a", ["apk update", "apk add a"]),
        ("apk", "update", "", ["apk update", "apk upgrade"]),
        ("apk", "remove", "a", ["apk update", "apk del a"]),
        ("pkg", "install", "a", ["pkg update", "pkg install -y a"]),
        ("pkg", "remove", "a", ["pkg update", "pkg delete -y a"]),
    ],
)
@pytest.mark.parametrize("shell", [["dash"], ["busybox", "sh"]], ids=" ".join)
def test_packages_go_to_the_package_manager(script, stage, shell, manager, action, package, calls):
    text = script("Package Action", manager=manager, action=action, package=package)
    assert stage(text, manager, shell=shell) == (0, calls)


@pytest.mark.parametrize(
    ("action", "package", "call"),
    [
        ("install", "a b", "install a b"),
        ("upgrade", "a", "install --only-upgrade a"),
        ("update", "", "upgrade"),
        ("remove", "a", "remove a"),
    ],
)
def test_packages_go_to_apt_get(script, stage, action, package, call):
    status, calls = stage(
        script("Package Action", manager="apt-get", action=action, package=package), "apt-get"
    )
    assert status == 0
    assert calls[0].endswith(" update")
    assert calls[1].startswith("apt-get -y -o ")
    assert calls[1].endswith(f"--force-confold {call}")


def test_the_hosts_own_package_manager_is_found(script, stage):
    assert stage(script("Package Action", package="a"), "zypper") == (
        0,
        ["zypper --non-interactive install a"],
    )
    assert stage(script("Package Action", package="a"), "apt-get", "zypper")[1][1].startswith("apt-get ")


def test_a_host_without_a_package_manager_says_so(script, stage):
    assert stage(script("Package Action", package="a")) == (1, [])


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (102, 0), (103, 0), (104, 104), (4, 4)])
def test_zypper_asking_for_a_reboot_is_no_failure(script, stage, status, expected):
    text = script("Package Action", manager="zypper", package="a")
    assert stage(text, "zypper", status=status)[0] == expected


def test_a_failing_package_manager_fails_the_script(script, stage):
    assert stage(script("Package Action", manager="dnf", package="a"), "dnf", status=3)[0] == 3


@pytest.mark.parametrize("values", [{"action": "remove"}, {"package": "--allow-untrusted"}, {"package": " "}])
def test_a_package_action_without_a_package_or_with_an_option_in_its_place_is_refused(script, values):
    with pytest.raises(TemplateError):
        script("Package Action", **values)


def test_hostile_package_names_are_words(script, stage):
    text = script("Package Action", manager="dnf", package="$(touch x) ;id `id` '")
    assert stage(text, "dnf") == (0, ["dnf -y install $(touch x) ;id `id` '"])


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here")
@pytest.mark.parametrize(
    ("action", "package"), [("install", "dash"), ("remove", "tzdata"), ("upgrade", "dash"), ("update", "")]
)
def test_the_real_apt_get_understands_what_it_is_asked(script, action, package):
    text = script("Package Action", action=action, package=package, refresh="false", options="--simulate")
    env = {**os.environ, "LC_ALL": "C"}
    ran = subprocess.run(
        ["dash"], input=text, text=True, env=env, capture_output=True, timeout=240, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "newly installed" in ran.stdout


# services


@pytest.mark.parametrize(
    ("programs", "action", "call"),
    [
        (["systemctl"], "restart", "systemctl --no-pager restart -- my app"),
        (["systemctl"], "enable", "systemctl --no-pager enable -- my app"),
        (["rc-service", "service"], "restart", "rc-service my app restart"),
        (["rc-service", "rc-update"], "enable", "rc-update add my app"),
        (["service"], "status", "service my app status"),
        (["service", "update-rc.d"], "disable", "update-rc.d my app disable"),
        (["service", "chkconfig"], "enable", "chkconfig my app on"),
        (["service"], "enable", "service my app enable"),
    ],
)
def test_a_service_goes_to_what_the_host_has(script, stage, programs, action, call):
    status, calls = stage(script("Service Action", action=action, service="my app"), *programs)
    assert (status, calls[-1]) == (0, call)


def test_the_exit_status_of_a_service_gets_back(script, stage):
    assert stage(script("Service Action", action="status", service="x"), "service", status=3)[0] == 3


def test_an_option_is_no_service(script):
    with pytest.raises(TemplateError, match="must not begin with a dash"):
        script("Service Action", service="--help")


# power


@pytest.mark.parametrize(
    ("values", "call"),
    [
        ({}, "shutdown -r +1"),
        ({"action": "shutdown", "delay": "5", "message": "it's $HOME"}, "shutdown -h +5 it's $HOME"),
        ({"action": "cancel"}, "shutdown -c"),
    ],
)
def test_systemd_plans_restart_and_shutdown(script, stage, values, call):
    status, calls = stage(script("Power Action", **values), "systemctl", "shutdown")
    assert (status, calls[-1]) == (0, call)


def test_a_host_without_systemd_restarts_after_the_script_has_ended(script, stage, tmp_path):
    text = script("Power Action").replace("later 60", "later 1")
    status, calls = stage(text, "reboot")
    assert (status, calls) == (0, [])
    wait_for((tmp_path / "log").exists)
    assert (tmp_path / "log").read_text() == "reboot\n"


@pytest.mark.parametrize("delay", ["0", "-1", "soon", "1.5x"])
def test_a_restart_without_a_delay_is_refused(script, delay):
    with pytest.raises(TemplateError, match="at least 1"):
        script("Power Action", delay=delay)


def test_the_status_of_a_host_is_shown(script, stage):
    assert stage(script("Power Action", action="status"))[0] == 0


def test_a_reboot_is_confirmed_only_after_it_happened(script, stage, tmp_path):
    def here(text: str) -> str:
        return text.replace("/var/lib/chargehand", str(tmp_path / "state"))

    confirm = here(script("Reboot and wait", step="confirm"))
    assert stage(confirm)[0] == 1
    status, calls = stage(here(script("Reboot and wait", delay="2")), "systemctl", "systemd-run")
    assert (status, calls[-1].split(" -- ")) == (
        0,
        ["systemd-run --quiet --on-active=2 --timer-property=AccuracySec=1s", "systemctl reboot"],
    )
    assert stage(confirm)[0] == 1
    (tmp_path / "state/boot").write_text("another boot\n")
    assert stage(confirm)[0] == 0
    assert not (tmp_path / "state/boot").exists()


# Puppet


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (2, 0), (1, 1), (4, 4), (6, 6)])
def test_puppet_changes_are_success_and_failures_are_not(script, stage, status, expected):
    assert stage(script("Puppet Run"), "puppet", status=status)[0] == expected


def test_puppet_is_asked_for_what_the_inputs_say(script, stage):
    text = script("Puppet Run", noop="true", environment="a b", tags="x,y", puppet_options="--debug --trace")
    usual = "puppet agent --onetime --no-daemonize --no-usecacheonfailure --verbose --detailed-exitcodes"
    asked = "--noop --environment a b --tags x,y --debug --trace"
    assert stage(text, "puppet")[1] == [f"{usual} {asked}"]


# files


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["text", "base64"])
def test_a_file_arrives_with_every_byte_its_mode_and_owner(script, tmp_path, shell, encoding):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    path = tmp_path / "it's a $file"
    path.write_text("old")
    content = "it's $HOME `id` \\ %s\n\n\ttab äß€\r\nno newline at the end"
    raw = content.encode() if encoding == "text" else bytes(range(256))
    value = content if encoding == "text" else base64.encodebytes(raw * 4).decode()
    owner = f"{os.getuid()}:{os.getgid()}"
    text = script("File Upload", path=str(path), content=value, encoding=encoding, mode="0640", owner=owner)
    subprocess.run([*shell, "-s"], input=text.encode(), check=True, timeout=30, stdout=subprocess.DEVNULL)
    assert path.read_bytes() == (raw if encoding == "text" else raw * 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_file_that_cannot_be_written_as_asked_leaves_the_old_one(script, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    for values in ({"mode": "9999"}, {"owner": "nobody-at-all"}, {"content": "???", "encoding": "base64"}):
        text = script("File Upload", path=str(path), **values)
        ran = subprocess.run(["dash"], input=text, text=True, capture_output=True, timeout=30, check=False)
        assert ran.returncode != 0
        assert path.read_text() == "old"
        assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_not_replaced_by_a_file(script, tmp_path):
    text = script("File Upload", path=str(tmp_path))
    ran = subprocess.run(["dash"], input=text, text=True, capture_output=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (1, f"{tmp_path} is a folder\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["relative", "/tmp/"])
def test_a_path_that_names_no_file_is_refused(script, path):
    with pytest.raises(TemplateError, match="absolute path of a file"):
        script("File Upload", path=path)


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
