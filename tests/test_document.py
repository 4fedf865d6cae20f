import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chargehand.document import YAML_11, YAML_12, Document, Limits, Vaulted, load, parse
from chargehand.errors import DocumentError, Place
from laws import tried

CASES = Path(__file__).parent / "cases" / "document"
REFUSED = load(CASES / "refused.yml").data
SCALARS = load(CASES / "scalars.yml").data
JOB = """\
name: Patch        # a comment
job_invocation:
  inputs: {at: 22:30, mode: "0755", version: 1.10, on: yes}
  ssh:
    effective_user_password: {env: PW}
  hosts:
    - web1
    - &last web2
    - *last
script: |
  echo one
  echo two
"""


def refusal(text: str, file: str = "f.yml") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(text, file)
    return caught.value


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_a_text_that_is_no_document_is_refused_with_its_place(case):
    piece, times = case.get("times", (case.get("text"), 1))
    problems = refusal(piece * times).problems
    problem = problems[0]
    assert case["says"] in problems[case.get("problem", 0)].message
    assert str(problem.place) == ":".join(filter(None, ("f.yml", case.get("at"))))
    assert case.get("hint", "") in (problem.hint or "")
    assert len(problem.text()) < 1000


def test_more_brackets_than_a_parser_looks_at_are_told_as_too_deep():
    (problem,) = refusal("[" * 200_000).problems
    assert (problem.message, problem.rule) == ("more than 32 levels of nesting", "limit")


def test_everything_that_is_wrong_is_told_at_once():
    problems = refusal("a: 1\na: 2\n3: x\nb: !foo y\nc: [").problems
    assert [problem.place.line for problem in problems] == [2, 3, 4, 5]


@pytest.mark.parametrize("case", SCALARS, ids=lambda case: case["text"])
def test_a_plain_scalar_means_what_its_dialect_says_and_keeps_its_text(case):
    text = case["text"]
    for dialect, meant in ((YAML_12, case["yaml_12"]), (YAML_11, case.get("yaml_11", case["yaml_12"]))):
        document = parse(f"- {text}", "f.yml", dialect=dialect)
        assert json.dumps(document.data) == f"[{meant}]"
        assert document.written([0]) == text


@pytest.mark.parametrize(
    "case", [case for case in SCALARS if case["text"] not in ("=", "<<")], ids=lambda case: case["text"]
)
def test_yaml_1_1_agrees_with_the_loader_that_ansible_uses(case):
    expected = yaml.safe_load(f"- {case['text']}")
    shown = [each.isoformat() if hasattr(each, "isoformat") else each for each in expected]
    assert parse(f"- {case['text']}", "f.yml", dialect=YAML_11).data == shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cn"]), max_size=30))
def test_every_plain_scalar_that_is_accepted_keeps_its_text(text):
    try:
        document = parse(f"- {text}\n", "f.yml")
    except DocumentError:
        return
    if isinstance(document.data, list) and len(document.data) == 1 and yaml_sees_one_plain_scalar(text):
        assert document.written([0]) == text.strip(" ")


def yaml_sees_one_plain_scalar(text: str) -> bool:
    events = [event for event in yaml.parse(f"- {text}\n") if isinstance(event, yaml.NodeEvent)]
    plain = len(events) == 2 and isinstance(events[1], yaml.ScalarEvent) and events[1].style is None
    return plain and not events[1].tag and not events[1].anchor and " #" not in text and text[:1] != "#"


JSON_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
JSON_NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
JSON_KEYS = st.text('abcü é\t"\\', max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | JSON_NUMBERS | JSON_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from([None, 2, "\t"]))
def test_json_is_read_as_json(value, indent):
    assert parse(json.dumps(value, indent=indent), "f.json").data == value


def test_places_of_values_and_keys():
    document = parse(JOB, "jobs/a.yml")
    inputs = ["job_invocation", "inputs"]
    assert document.place() == Place("jobs/a.yml", 1, 1, "name: Patch        # a comment")
    assert str(document.place([*inputs, "mode"])) == "jobs/a.yml:3:29"
    assert str(document.place([*inputs, "mode"], key=True)) == "jobs/a.yml:3:23"
    assert str(document.place(["job_invocation", "hosts", 1])) == "jobs/a.yml:8:7"
    assert str(document.place(["script"])) == "jobs/a.yml:10:9"


def test_a_path_that_leads_nowhere_is_at_its_nearest_ancestor():
    document = parse(JOB, "a.yml")
    assert document.place(["job_invocation", "ssh", "x", "y"]) == document.place(["job_invocation", "ssh"])
    assert document.place(["name", 0], key=True) == document.place(["name"])


def test_columns_count_characters_and_lines_count_as_editors_do():
    document = parse("ü😀: {é: 1}\r\nb: 2\rc: 3\n", "a.yml")
    assert document.place(["ü😀", "é"]) == Place("a.yml", 1, 9, "ü😀: {é: 1}")
    assert document.place(["c"]) == Place("a.yml", 3, 4, "c: 3")


def test_scalars_keep_their_source_text():
    document = parse(JOB, "a.yml")
    inputs = ["job_invocation", "inputs"]
    written = [document.written([*inputs, name]) for name in ("at", "mode", "version", "on")]
    assert written == ["22:30", "0755", "1.10", "yes"]
    assert document.written(["script"]) == "echo one\necho two\n"
    assert document.data["job_invocation"]["hosts"] == ["web1", "web2", "web2"]
    for nowhere in (["x"], inputs, ["name", "x"]):
        with pytest.raises(KeyError):
            document.written(nowhere)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", "---\n", "null"])
def test_an_empty_file_is_null(tmp_path, text):
    (tmp_path / "f.yml").write_text(text)
    document = load(tmp_path / "f.yml")
    assert document.data is None
    assert document.place(["x"]) == document.place()


def test_a_byte_order_mark_and_windows_lines_are_accepted(tmp_path):
    (tmp_path / "f.yml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n")
    assert load(tmp_path / "f.yml").data == {"a": 1, "b": "x\ny\n"}


def test_vault_texts_stay_encrypted():
    for dialect in (YAML_12, YAML_11):
        assert parse("a: !vault |\n  $ANSIBLE_VAULT\n  30\n", "f", dialect=dialect).data == {
            "a": Vaulted("$ANSIBLE_VAULT\n30\n")
        }


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2\npassword: hunter2",
        "a: {key_passphrase: hunter2, x: !foo y}",
        'ssh_pass: "hunter2',
        "api_token: hunter2\u202e",
    ],
)
def test_the_line_of_a_secret_is_shown_without_it(text):
    error = refusal(text)
    assert "hunter2" not in str(error)
    assert "***" in str(error)


def test_the_place_of_a_secret_on_a_line_of_its_own_shows_no_line():
    document = parse("ssh:\n  effective_user_password:\n    hunter2\n", "f.yml")
    assert document.place(["ssh", "effective_user_password"]) == Place("f.yml", 3, 5)


def test_inventories_are_read_as_ansible_reads_them():
    text = """\
defaults: &defaults {a: 1, b: yes, c: 0644}
over: &over {b: 2}
one: {<<: *defaults, a: 9}
both: {<<: [*over, *defaults], d: !unsafe "{{ x }}"}
10: {true: ~}
"""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!unsafe", lambda loader, node: node.value)
    document = parse(text, "hosts.yml", dialect=YAML_11)
    assert document.data == yaml.load(text, Loader=loader)
    assert list(document.data["one"]) == ["a", "b", "c"]
    assert str(document.place(["one", "c"])) == "hosts.yml:1:39"


def test_a_repeated_key_of_an_inventory_is_a_warning_and_the_last_counts():
    document = parse("a: 1\na: 2\n", "hosts.yml", dialect=YAML_11)
    assert document.data == {"a": 2}
    (warning,) = document.warnings
    assert warning.severity == "warning"
    assert "first in line 1" in str(warning)


def test_an_invisible_direction_mark_in_an_inventory_is_a_warning():
    (warning,) = parse("a: b\u200f", "hosts.yml", dialect=YAML_11).warnings
    assert "RIGHT-TO-LEFT MARK" in warning.message


@pytest.mark.parametrize(
    "text",
    [
        "a: 2026-99-99",
        "a: 0x_",
        "a: !!binary aGk=",
        "a: !foo b",
        "? {a: 1}\n: 2",
        "a: " + "1:1" * 9000,
        "<<: 5",
    ],
)
def test_what_even_yaml_1_1_cannot_mean_is_refused(text):
    with pytest.raises(DocumentError, match=r"hosts\.yml:1:"):
        parse(text, "hosts.yml", dialect=YAML_11)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "unreadable", "nul"])
def test_what_is_no_regular_file_is_refused_without_reading_it(tmp_path, kind):
    path = tmp_path / "f.yml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "unreadable":
        path.symlink_to(path)
    elif kind == "nul":
        path = Path("f\0.yml")
    with pytest.raises(DocumentError, match=r"not a regular file|cannot be read"):
        load(path)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "f.yml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(DocumentError, match=r"f\.yml:2: error: the file is not UTF-8"):
        load(tmp_path / "f.yml")


def test_a_big_file_costs_neither_time_nor_memory(tmp_path):
    (tmp_path / "f.yml").write_text("a: 1\n" * 400_000)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from chargehand.document import load\n"
        "from chargehand.errors import DocumentError\n"
        "began = time.process_time()\n"
        "try: load(sys.argv[1])\n"
        "except DocumentError as error: assert 'larger than 256 KiB' in str(error)\n"
        "spent = time.process_time() - began\n"
        # Not ru_maxrss, which begins with the peak of whoever started the process.
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(spent, peak)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "f.yml"], capture_output=True, text=True, check=True
    )
    seconds, kibibytes = done.stdout.split()
    assert float(seconds) < 1
    assert int(kibibytes) < 100 * 1024


def test_a_mebibyte_of_small_keys_is_read_in_time():
    text = "".join(f"k{number}: 1\n" for number in range(100_000))
    began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert len(parse(text, "f", limits=Limits(size_bytes=2**21, depth=4, aliased=0)).data) == 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - began < 10


@tried(100)
@given(st.text(st.sampled_from("ab:-?[]{}&*!|>%@,'\"#\n \t\\0~<"), max_size=60))
def test_no_text_does_worse_than_be_refused(text):
    for dialect in (YAML_12, YAML_11):
        try:
            assert isinstance(parse(text, "f", dialect=dialect), Document)
        except DocumentError as error:
            assert error.problems  # noqa: PT017 - either outcome is fine
