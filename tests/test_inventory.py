"""What an inventory refuses, warns of and explains; programs; secrets; size."""

import ast
import json
import os
import shlex
import string
import subprocess
import sys
import time
from pathlib import Path
from warnings import catch_warnings

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.inventory import expand_hostname_range
from hypothesis import given
from hypothesis import strategies as st

from chargehand.document import Vaulted
from chargehand.errors import InventoryError, SearchError
from chargehand.inventory import Inventory, load
from chargehand.inventory.ini import _split_simple
from chargehand.inventory.literal import _plain, read_literal
from chargehand.inventory.ranges import expand
from chargehand.secret import Secret
from laws import tried

VAULTED = Path(__file__).parent / "cases" / "inventory" / "vars_encrypted_values"


def read(folder: Path, *sources: str, **options) -> Inventory:
    return load(sources or ["hosts"], base=folder, **options)


def write(folder: Path, text: str, name: str = "hosts") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_program(folder: Path, script: str, name: str = "program") -> Path:
    path = write(folder, f"#!/bin/sh\n{script}\n", name)
    path.chmod(0o755)
    return path


def refusal(folder: Path, *sources: str, **options) -> str:
    with pytest.raises(InventoryError) as caught:
        read(folder, *sources, **options)
    return str(caught.value)


def warnings(inventory: Inventory) -> list[str]:
    return [str(problem) for problem in inventory.warnings]


# Errors and warnings


def test_all_problems_of_all_sources_are_told_at_once_with_their_lines(tmp_path):
    write(tmp_path, "[web]\nw1 x\n[web:vars]\nnonsense\n[db:children]\nwbe\n")
    write(tmp_path, "web:\n  hosts: [a]\n", "more.yml")
    text = refusal(tmp_path, "hosts", "more.yml", "missing")
    for start in (
        "hosts:2: error",
        "hosts:4: error",
        "hosts:6: error",
        "more.yml:2:3: error",
        "missing: error",
    ):
        assert start in text
    assert "did you mean `web`?" in text


def test_a_missing_source_names_the_nearest_file(tmp_path):
    write(tmp_path, "w1\n", "production")
    assert "did you mean `production`?" in refusal(tmp_path, "producton")


def test_no_source_at_all_is_refused(tmp_path):
    with pytest.raises(InventoryError, match="no inventory source"):
        load([], base=tmp_path)


def test_a_long_list_of_hosts_is_no_file_name_and_a_long_name_is_no_crash(tmp_path):
    names = [f"web{number}.example.com" for number in range(1000)]
    assert [host.name for host in read(tmp_path, ",".join(names))] == names
    assert "does not exist" in refusal(tmp_path, "x" * 5000)


def test_groups_nested_to_fill_the_memory_are_refused(tmp_path):
    names = [f"g{number}" for number in range(4000)]
    chain = [f"[{name}:children]\ng{number}\n" for number, name in enumerate(names[:-1], 1)]
    write(tmp_path, "".join(chain) + f"[{names[-1]}]\n")
    assert "memberships" in refusal(tmp_path)


def test_a_folder_without_inventory_files_is_refused(tmp_path):
    write(tmp_path, "x: 1\n", "inventory/group_vars/all.yml")
    write(tmp_path, "x: 1\n", "inventory/bookmarks.yml")
    assert "holds no inventory file" in refusal(tmp_path, "inventory")


def test_bookmarks_and_taxonomies_in_the_folder_are_no_inventories(tmp_path):
    write(tmp_path, "web1\n", "inventory/hosts")
    write(tmp_path, "mine: os = Debian\n", "inventory/bookmarks.yml")
    write(tmp_path, "- 1\n", "inventory/taxonomies.yml")
    assert [host.name for host in read(tmp_path, "inventory")] == ["web1"]


def test_a_cycle_is_told_with_every_group_in_it(tmp_path):
    write(tmp_path, "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n")
    assert "groups contain each other" in (text := refusal(tmp_path))
    assert text.count("→") == 3


def test_a_fifo_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "hosts")
    assert "not a regular file" in refusal(tmp_path)


def test_a_link_loop_between_folders_ends(tmp_path):
    write(tmp_path, "web1\n", "inventory/hosts")
    (tmp_path / "inventory" / "again").symlink_to(tmp_path / "inventory")
    (tmp_path / "inventory" / "group_vars" / "all").mkdir(parents=True)
    write(tmp_path, "x: 1\n", "inventory/group_vars/all/x.yml")
    (tmp_path / "inventory" / "group_vars" / "all" / "again").symlink_to("../all")
    assert read(tmp_path, "inventory")["web1"].vars == {"x": 1}


def test_a_host_line_is_never_quoted_for_it_may_hold_a_password(tmp_path):
    write(tmp_path, "w1 ansible_password=correct horse\n[web\nw2 ansible_password='x\n")
    text = refusal(tmp_path)
    assert "word 3" in text
    assert "horse" not in text
    assert "ansible_password" not in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("w1 ansible_host=-oProxyCommand=id", "begins with `-`"),
        ("w1 ansible_host='a b'", "white space"),
        ("w1 ansible_host='a;id'", "`;`"),
        ("w1 ansible_user='-l root'", "begins with `-`"),
        ("w1 ansible_user='`id`'", "contains ``"),
        ("w1 ansible_port=70000", "is not a port"),
        ("w1 ansible_port=x", "is not a port"),
        ("w1;id x=1", "`;`"),
        ("$(id)", "contains `$`"),
        ("../../etc/passwd", "leads out of its folder"),
        ("-h", "begins with `-`"),
    ],
)
def test_what_a_program_would_read_as_an_option_or_code_is_refused_with_its_place(tmp_path, line, words):
    write(tmp_path, f"[web]\n{line}\n")
    text = refusal(tmp_path)
    assert text.startswith("hosts:2: error:")
    assert words in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w1 pw=a#b\n", "inside word 2 begins a comment"),
        ("w[3:1]\nw1\n", "stands for no host"),
        ("w1:22\nw1:23\n", "port 23 behind `w1` has no effect"),
        (
            "w1 ansible_host=10.0.0.1\nw2 ansible_host=10.0.0.1\n",
            "2 hosts are one machine, 10.0.0.1 port 22: w1, w2",
        ),
        ("w1\nW1\n", "one machine, w1 port 22: w1, W1"),
        ("w1\n10.0.0.1 ansible_host=w1 ansible_port=22\n", "one machine, w1 port 22: w1, 10.0.0.1"),
        ("[web]\nweb\n", "`web` is both a host and a group"),
    ],
)
def test_what_is_hardly_meant_is_warned_of(tmp_path, text, words):
    write(tmp_path, text)
    assert words in "\n".join(warnings(read(tmp_path)))


def test_another_port_or_a_local_connection_is_another_machine(tmp_path):
    local = "ansible_connection=local"
    write(tmp_path, f"w1:1\nw2:2\nw3 {local}\nw4 {local}\n[all:vars]\nansible_host=h\n")
    assert read(tmp_path).warnings == ()


def test_a_group_priority_in_group_vars_is_warned_of(tmp_path):
    write(tmp_path, "[web]\nw1\n")
    write(tmp_path, "ansible_group_priority: 5\n", "group_vars/web.yml")
    assert any("no effect in group_vars" in text for text in warnings(read(tmp_path)))


# Ids


def test_ids_are_variables_or_positions(tmp_path):
    write(tmp_path, "w1 id=70\nw2 foreman_id='71'\nw3\nw4 id=abc\n")
    assert [host.id for host in read(tmp_path)] == [70, 71, 3, 4]


def test_two_hosts_with_one_id_are_refused_by_name(tmp_path):
    write(tmp_path, "w1 id=2\nw2\n")
    text = refusal(tmp_path)
    assert "hosts:1: error: hosts `w1` and `w2` have the same id 2" in text


# Variables


def test_explain_lists_every_place_and_marks_the_winner(tmp_path):
    write(tmp_path, "[web]\nw1 port=4\n[web:vars]\nport=2\n[all:vars]\nport=1\n")
    write(tmp_path, "# ports\nport: 3\n", "group_vars/all.yml")
    write(tmp_path, "port: 5\n", "host_vars/w1.yml")
    origins = read(tmp_path).explain("w1", "port")
    assert [(str(origin.place), origin.scope, origin.value, origin.wins) for origin in origins] == [
        ("hosts:6", "group all", 1, False),
        ("hosts:4", "group web", 2, False),
        ("group_vars/all.yml:2:1", "group all", 3, False),
        ("hosts:2", "host w1", 4, False),
        ("host_vars/w1.yml:1:1", "host w1", 5, True),
    ]


def test_explain_shows_no_secret(tmp_path):
    write(tmp_path, "w1 ansible_password=hunter2 ansible_private_key_file=/k\n")
    write(tmp_path, "api: {token: hunter2, port: 1}\n", "host_vars/w1.yml")
    inventory = read(tmp_path)
    shown = [inventory.explain("w1", name)[0].value for name in inventory["w1"].vars]
    assert shown == ["***", "/k", {"token": "***", "port": 1}]


def test_hosts_that_are_told_the_same_share_one_mapping(tmp_path):
    write(tmp_path, "[web]\nw[1:2] rack=r1\nw3 rack=r1\nw4 token=hunter2\n")
    write(tmp_path, "port: 80\n", "group_vars/web.yml")
    inventory = read(tmp_path)
    assert inventory["w1"].vars == {"port": 80, "rack": "r1"} == inventory["w3"].vars
    assert inventory["w1"].vars is inventory["w2"].vars is inventory.shown_vars("w1")
    assert inventory.explain("w2", "rack")[0].scope == "host w2"
    assert (inventory["w4"].vars["token"], inventory.shown_vars("w4")["token"]) == ("hunter2", "***")


def test_a_file_of_variables_hides_those_with_an_ending(tmp_path):
    write(tmp_path, "w1\nw2\nw3\n")
    write(tmp_path, "from: yml\n", "host_vars/w1.yml")
    write(tmp_path, "from: yaml\n", "host_vars/w1.yaml")
    write(tmp_path, "from: folder\n", "host_vars/w2/main.yml")
    write(tmp_path, "from: json\n", "host_vars/w2.json")
    write(tmp_path, "{from: json}\n", "host_vars/w3.json")
    assert [host.vars["from"] for host in read(tmp_path)] == ["yml", "folder", "json"]


def test_vault_values_are_secrets_with_a_password_and_stay_encrypted_without(tmp_path):
    write(tmp_path, "w1\n")
    write(tmp_path, (VAULTED / "host_vars/w1.yml").read_text(), "host_vars/w1.yml")
    opened = read(tmp_path, vault_passwords=[Secret("wrong"), Secret("vault-password")])
    assert opened["w1"].vars["token"] == Secret("s3cret")
    assert opened.explain("w1", "token")[0].value == "***"
    assert isinstance(read(tmp_path)["w1"].vars["token"], Vaulted)
    assert read(tmp_path).shown_vars("w1") == {"plain": 1, "token": "***"}


def test_a_source_encrypted_as_a_whole_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "hosts.ini").write_text("$ANSIBLE_VAULT;1.1;AES256\n3031\n")
    with pytest.raises(InventoryError) as refused:
        load([str(tmp_path / "hosts.ini")], base=tmp_path)
    (problem,) = refused.value.problems
    assert problem.message == "an inventory source that is encrypted as a whole is not read"
    assert "!vault" in problem.hint


def test_a_file_encrypted_as_a_whole_is_secret_text_or_refused():
    opened = read(VAULTED, vault_passwords=[Secret("vault-password")])
    assert opened["w1"].vars["list"] == [Secret("a"), 1]
    assert "no vault password is given" in refusal(VAULTED)
    text = refusal(VAULTED, vault_passwords=[Secret("wrong")])
    assert "group_vars/all.yml: error" in text
    assert "host_vars/w1.yml:2:1: error" in text


# Programs


def test_a_program_is_not_run_when_none_may_be(tmp_path):
    write_program(tmp_path, "touch ran; echo '{}'")
    write(tmp_path, "plugin: amazon.aws.aws_ec2\n", "aws.yml")
    write(tmp_path, "w1\n")
    inventory = read(tmp_path, "program", "aws.yml", "hosts", programs="skip")
    assert [host.name for host in inventory] == ["w1"]
    assert len(warnings(inventory)) == 2
    assert all("was not run" in text for text in warnings(inventory))
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_refused_refuses_the_whole_inventory(tmp_path):
    write_program(tmp_path, "touch ran; echo '{}'")
    write(tmp_path, "w1\n")
    assert "was not run" in refusal(tmp_path, "program", "hosts", programs="refuse")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no region >&2; exit 3", "failed with exit code 3: no region"),
        ("kill -9 $$", "failed with signal 9"),
        ("echo hello", "printed no JSON for --list"),
        ("printf '\\033[2J' >&2; exit 1", "failed with exit code 1:  [2J"),
        ("exec sleep 60", "did not end within 0.5 seconds"),
        ("exec >&- 2>&-; exec sleep 60", "did not end within 0.5 seconds"),
    ],
)
def test_a_program_that_fails_is_an_error_that_says_why(tmp_path, script, words):
    write_program(tmp_path, script)
    assert words in refusal(tmp_path, "program", program_timeout_s=0.5).replace("\x1b", " ")


def test_a_program_that_hangs_leaves_no_child_behind(tmp_path):
    write_program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    refusal(tmp_path, "program", program_timeout_s=0.5)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_that_floods_is_cut_off(tmp_path):
    write_program(tmp_path, "exec yes")
    assert "prints more than" in refusal(tmp_path, "program", program_timeout_s=20)


def test_a_missing_interpreter_is_told(tmp_path):
    write(tmp_path, "#!/nonexistent/python\n", "program").chmod(0o755)
    assert "cannot be run: No such file" in refusal(tmp_path, "program")


def test_an_inventory_plugin_is_run_by_ansible_where_it_is_installed(tmp_path, monkeypatch):
    write(
        tmp_path,
        "plugin: ansible.builtin.generator\nhosts: {name: 'w{{ n }}'}\nlayers: {n: [1, 2]}\n",
        "gen.yml",
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert [host.name for host in read(tmp_path, "gen.yml")] == ["w1", "w2"]
    write(tmp_path, "plugin: no.such.plugin\n", "bad.yml")
    assert "the inventory program failed" in refusal(tmp_path, "bad.yml")


def test_without_ansible_a_plugin_is_refused_by_name(tmp_path, monkeypatch):
    write(tmp_path, "plugin: amazon.aws.aws_ec2\n", "aws.yml")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`amazon.aws.aws_ec2` needs `ansible-inventory`" in refusal(tmp_path, "aws.yml")


# Patterns


@pytest.mark.parametrize("pattern", ["wbe", "all:!wbe1", "all:&wbe", "web1,wbe1", "wbe[0]"])
def test_a_pattern_that_names_nothing_is_refused_and_never_widened(tmp_path, pattern):
    write(tmp_path, "[web]\nweb1\nweb2\n")
    with pytest.raises(SearchError, match=r"neither a host nor a group(.|\n)*did you mean"):
        read(tmp_path).match(pattern)


@pytest.mark.parametrize("pattern", ["~(", "~[", "", " , ", "!", "&"])
def test_a_pattern_that_is_none_is_refused(tmp_path, pattern):
    write(tmp_path, "web1\n")
    with pytest.raises(SearchError):
        read(tmp_path).match(pattern)


def test_localhost_may_be_named_without_being_in_the_inventory(tmp_path):
    write(tmp_path, "web1\n[all:vars]\nx=1\n")
    inventory = read(tmp_path)
    (host,) = inventory.match("localhost")
    assert (host.id, host.groups, host.vars) == (0, (), {"x": 1, "ansible_connection": "local"})
    assert [host.name for host in inventory.match("all")] == ["web1"]


def test_a_file_of_terms_is_read_and_an_empty_one_is_not_everybody(tmp_path):
    write(tmp_path, "web1\nweb2\nweb3\n")
    inventory = read(tmp_path)
    names = write(tmp_path, "# failed\nweb1\n\nweb3\n", "retry")
    assert [host.name for host in inventory.match(f"@{names}")] == ["web1", "web3"]
    for text in ("", "# none\n"):
        names.write_text(text)
        with pytest.raises(SearchError, match="names no host"):
            inventory.match(f"@{names}")
    with pytest.raises(SearchError, match="cannot be read"):
        inventory.match(f"@{tmp_path}/missing")


# Ranges

_ends = st.one_of(
    st.integers(0, 20).map(str),
    st.sampled_from(string.ascii_letters),
    st.sampled_from(["00", "01", "007", "012"]),
)
_ranges = st.builds(
    lambda first, last, step: f"[{first}:{last}{step}]",
    st.one_of(_ends, st.just("")),
    _ends,
    st.sampled_from(["", ":1", ":2", ":7"]),
)


@tried(60)
@given(st.lists(st.one_of(_ranges, st.text("ab.-", max_size=3)), min_size=1, max_size=3).map("".join))
def test_ranges_stand_for_what_ansible_takes_them_for(pattern):
    try:
        expected = expand_hostname_range(pattern) if "[" in pattern else [pattern]
    except (AnsibleError, ValueError):
        with pytest.raises(ValueError, match=r"range|digits"):
            expand(pattern)
        return
    try:
        assert expand(pattern) == expected
    except ValueError:  # Ansible does not look at what stands behind a range without members
        assert expected == []


def test_a_range_of_too_many_hosts_is_refused_before_they_are_made(tmp_path):
    write(tmp_path, "web[1:999999999][1:999999999]\n")
    assert "stands for more than 100000 hosts" in refusal(tmp_path)
    write(tmp_path, "web[1:9]\ndb[1:9]\n")
    assert refusal(tmp_path, max_hosts=10).count("more than 10 hosts") == 1


# Size and independence


@pytest.mark.parametrize("ending", ["ini", "yml"])
def test_ten_thousand_hosts_load(tmp_path, ending):
    names = [f"h{number:05}" for number in range(10_000)]
    if ending == "ini":
        text = "[web]\n" + "".join(f"{name} rack={name[-2:]} note='a b'\n" for name in names)
    else:
        text = json.dumps(
            {"web": {"hosts": {name: {"rack": name[-2:], "note": "a b"} for name in names}}}, indent=1
        )
    write(tmp_path, text, f"hosts.{ending}")
    assert len(read(tmp_path, f"hosts.{ending}")) == 10_000


def test_ansible_is_never_imported():
    code = (
        "import sys, chargehand.inventory; sys.exit(any(name.startswith('ansible') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Values


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
WORDS = st.text(alphabet="[]{},:\"'\\ 0123456789.-+eEtruefalsnNo#_x\u00e9", max_size=12)


@given(st.text(st.sampled_from("ab=,:.[]{}$;*'\"# \\\t\x1c\xa0\xe9"), max_size=14))
def test_a_host_line_is_split_as_a_shell_would_where_that_is_done_without_one(line):
    words = _split_simple(line)
    assert words is None or words == shlex.split(line, comments=True)


def test_most_host_lines_are_split_without_a_shell():
    line = "web1 a=1 facts='{\"b\": \"c d\"}' note=\"it's\" empty='' ''"
    assert _split_simple(line) == ["web1", "a=1", 'facts={"b": "c d"}', "note=it's", "empty=", ""]


@tried(200)
@given(
    st.one_of(
        PLAIN.map(json.dumps),
        PLAIN.map(repr),
        WORDS,
        WORDS.map("[{}]".format),
        WORDS.map('{{"a":{}}}'.format),
    )
)
def test_a_list_or_mapping_of_a_line_is_the_python_literal_that_ansible_takes_it_for(text):
    try:
        with catch_warnings(action="ignore"):
            expected = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        expected = text
    if isinstance(expected, list | dict):
        assert repr(read_literal(text)) == repr(_plain(expected))


def test_a_list_nested_deeper_than_python_reads_stays_text():
    assert read_literal("[" * 50 + "1" + "]" * 50) != "[" * 50 + "1" + "]" * 50
    assert read_literal("[" * 300 + "1" + "]" * 300) == "[" * 300 + "1" + "]" * 300
