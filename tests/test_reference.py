import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.document import Vaulted, parse
from chargehand.errors import Place, SecretError
from chargehand.reference import SecretReference, read_reference, resolve
from chargehand.secret import Secret
from laws import tried
from sshd import wait_until

CANARY = "hunter2-canary"
ODD_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200)


def fetch(value: object, base: Path = Path("/"), **given: object) -> str:
    wanted = {"environ": dict(os.environ), "prompt": lambda question: CANARY, "base": base} | given
    return resolve(read_reference(value), **wanted).reveal()


def refusal(value: object, base: Path = Path("/"), **given: object) -> str:
    with pytest.raises(SecretError) as caught:
        fetch(value, base, **given)
    assert CANARY not in str(caught.value)
    return str(caught.value)


def private_file(folder: Path, content: bytes, mode: int = 0o600) -> dict[str, str]:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return {"file": "secret"}


def printing(text: str) -> dict[str, list[str]]:
    return {"command": [sys.executable, "-c", text]}


def test_an_environment_variable_gives_its_value():
    assert fetch({"env": "PW"}, environ={"PW": CANARY}) == CANARY


def test_a_variable_that_is_missing_or_empty_is_refused_by_name():
    assert "the environment variable `PW` is not set" in refusal({"env": "PW"}, environ={})
    assert "does not hold UTF-8" in refusal({"env": "PW"}, environ={"PW": "\udcff"})
    assert "the environment variable `PW` is empty" in refusal({"env": "PW"}, environ={"PW": ""})


def test_a_prompt_asks_its_question():
    asked = []
    reference = read_reference({"prompt": True}, question="SSH password")
    resolve(reference, environ={}, base=Path("/"), prompt=lambda question: asked.append(question) or CANARY)
    assert asked == ["SSH password"]


@tried(100)
@given(ODD_TEXT)
def test_any_text_survives_a_file_byte_for_byte(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("secret")
    assert fetch(private_file(folder, text.encode() + b"\n"), folder) == text


@pytest.mark.parametrize("text", ["'\"$HOME`id`\\", "two\nlines\n", "ünïcode ✓", "x" * 4096])
def test_odd_secrets_survive_files_variables_and_commands(tmp_path, text):
    reference = private_file(tmp_path, text.encode() + b"\n")
    assert fetch(reference, tmp_path) == text
    assert fetch({"command": ["cat", "secret"]}, tmp_path) == text
    assert fetch({"env": "PW"}, environ={"PW": text}) == text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o610])
def test_a_file_that_others_may_open_is_refused(tmp_path, mode):
    reason = refusal(private_file(tmp_path, CANARY.encode(), mode), tmp_path)
    assert "open to others" in reason
    assert "chmod 600 secret" in reason


def test_what_is_no_small_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    assert "not a regular file" in refusal({"file": "fifo"}, tmp_path)
    assert "not a regular file" in refusal({"file": "folder"}, tmp_path)
    assert "not a regular file" in refusal({"file": "/dev/zero"}, tmp_path)
    assert "No such file" in refusal({"file": "missing"}, tmp_path)
    assert "more than 64 KiB" in refusal(private_file(tmp_path, b"x" * 65537), tmp_path)
    assert "UTF-8" in refusal(private_file(tmp_path, CANARY.encode() + b"\xff"), tmp_path)
    assert "is empty" in refusal(private_file(tmp_path, b"\n"), tmp_path)


def test_a_command_runs_without_a_shell():
    assert fetch({"command": ["printf", "%s", "$HOME; id"]}) == "$HOME; id"


def test_a_command_that_fails_shows_its_error_without_its_answer():
    text = f"import sys; print({CANARY!r}); print('no key for', {CANARY!r}, file=sys.stderr); sys.exit(3)"
    reason = refusal(printing(text))
    assert "fails with exit status 3: no key for ***" in reason


def test_a_command_that_is_missing_or_killed_is_refused():
    assert "cannot be run: No such file" in refusal({"command": ["/missing/program"]})
    assert "signal 9" in refusal(printing("import os; os.kill(os.getpid(), 9)"))


def test_a_command_that_prints_without_end_is_stopped():
    began = time.monotonic()
    assert "prints more than 65536 bytes" in refusal({"command": ["yes", CANARY]})
    assert time.monotonic() - began < 5


def test_a_command_that_hangs_is_stopped_with_all_it_started(monkeypatch):
    monkeypatch.setattr("chargehand.reference.COMMAND_TIMEOUT_S", 0.5)
    marker = f"3{time.time_ns() % 10**8:08}"
    assert "did not end within 0.5 seconds" in refusal({"command": ["sh", "-c", f"sleep {marker} & wait"]})
    wait_until(lambda: not sleeping(marker))


def sleeping(marker: str) -> list[str]:
    shown = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if line.startswith(f"sleep {marker}")]


@pytest.mark.parametrize(
    "value",
    [
        None, 5, True, [], {}, {"evn": "PW"}, {"env": "PW", "file": "x"}, {"env": ""}, {"env": 5},
        {"env": "A=B"}, {"file": ""}, {"command": "pass show x"}, {"command": []}, {"command": [""]},
        {"command": ["a", 1]}, {"prompt": False}, {"prompt": CANARY},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_reference_is_refused(value):
    assert "expected a secret reference" in refusal(value)


def test_a_misspelt_form_names_the_nearest():
    assert "did you mean `env`?" in refusal({"evn": "PW"})


def test_a_plain_secret_is_refused_in_a_file_and_its_line_is_not_shown():
    document = parse(f"a: {{x: {CANARY}}}", "job.yml")
    with pytest.raises(SecretError) as caught:
        read_reference(CANARY, document.place(["a", "x"]))
    assert str(caught.value).startswith("job.yml:1:8: error: a secret must not stand in a file")
    assert CANARY not in str(caught.value)


def test_a_plain_secret_is_taken_where_it_is_allowed():
    reference = read_reference(CANARY, plain_allowed=True)
    assert reference.kind == "plain"
    assert CANARY not in repr(reference)
    assert resolve(reference, environ={}, prompt=str, base=Path("/")) == Secret(CANARY)


def test_a_vault_text_needs_its_password():
    reference = read_reference(Vaulted("$ANSIBLE_VAULT;1.1;AES256\n30"), Place("job.yml", 3, 5))
    assert reference == SecretReference(kind="vault", held=Secret("$ANSIBLE_VAULT;1.1;AES256\n30"))
    with pytest.raises(SecretError, match=r"job\.yml:3:5: error: this ansible-vault text is damaged"):
        resolve(reference, environ={}, prompt=str, base=Path("/"))
