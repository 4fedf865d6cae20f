"""Connection variables of a host: Ansible's names, Foreman's names, OpenSSH options in one string."""

from pathlib import Path

import pytest

from chargehand.connection import ConnectionSettings, JumpHost
from chargehand.document import Vaulted
from chargehand.errors import InventoryError
from chargehand.host import Host
from chargehand.inventory import HostBecome, connection_settings, load
from chargehand.inventory.connections import Connections
from chargehand.secret import Secret

DEFAULTS = ConnectionSettings(address="", user="root")


def settings(defaults=DEFAULTS, **variables) -> ConnectionSettings:
    return connect(defaults, **variables).settings


def connect(defaults=DEFAULTS, **variables):
    return connection_settings(Host(name="web1", id=1, vars=variables), defaults)


def refusal(**variables) -> str:
    with pytest.raises(InventoryError) as caught:
        connect(**variables)
    return str(caught.value)


def test_without_variables_the_defaults_count_and_the_name_is_dialled():
    assert settings() == ConnectionSettings(address="web1", user="root")
    assert connect().become == HostBecome()


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({"ansible_host": "10.0.0.1"}, "address", "10.0.0.1"),
        ({"ansible_host": "fe80::1%eth0"}, "address", "fe80::1%eth0"),
        ({"ansible_host": "a", "ansible_ssh_host": "b"}, "address", "b"),
        ({"ansible_ssh_host": "", "ansible_host": "a"}, "address", "a"),
        ({"ansible_port": 2222}, "port", 2222),
        ({"ansible_port": "2222"}, "port", 2222),
        ({"remote_execution_ssh_port": 3, "ansible_port": 4}, "port", 3),
        ({"ansible_user": "deploy"}, "user", "deploy"),
        ({"ansible_user": "CORP\\deploy"}, "user", "CORP\\deploy"),
        ({"ansible_user": "a", "remote_execution_ssh_user": "b"}, "user", "b"),
        ({"ansible_password": 12345}, "password", Secret("12345")),
        ({"ansible_ssh_pass": Secret("x"), "ansible_password": "y"}, "password", Secret("x")),
        ({"ansible_private_key_file": "/k"}, "private_key_file", "/k"),
        ({"ansible_private_key_file": "~/k"}, "private_key_file", str(Path.home() / "k")),
        ({"ansible_private_key": "KEY"}, "private_key", Secret("KEY")),
        ({"remote_execution_ssh_key_passphrase": "p"}, "key_passphrase", Secret("p")),
        ({"ansible_connection": "local"}, "provider", "local"),
        ({"ansible_connection": "ansible.builtin.ssh"}, "provider", "ssh"),
        ({"ansible_connection": "paramiko_ssh"}, "provider", "ssh"),
        ({"ansible_host_key_checking": True}, "host_key_policy", "strict"),
        ({"ansible_host_key_checking": "no"}, "host_key_policy", "off"),
        ({"ansible_timeout": 5}, "connect_timeout_s", 5.0),
        ({"ansible_remote_tmp": "/opt/t"}, "work_folders", ("/opt/t",)),
        (
            {"ansible_remote_tmp": "/a", "remote_execution_remote_working_dir": "/b"},
            "work_folders",
            ("/b", "/a"),
        ),
        ({"ansible_ssh_common_args": "-o ProxyJump=jump"}, "proxy_jump", (JumpHost(address="jump"),)),
        (
            {"ansible_ssh_extra_args": "-J me@a:22,[2001:db8::1]:2200"},
            "proxy_jump",
            (JumpHost(address="a", port=22, user="me"), JumpHost(address="2001:db8::1", port=2200)),
        ),
        ({"ansible_ssh_common_args": "-J none"}, "proxy_jump", ()),
        (
            {"ansible_ssh_common_args": '-o ProxyCommand="ssh -p 2222 -W %h:%p -q me@jump"'},
            "proxy_jump",
            (JumpHost(address="jump", port=2222, user="me"),),
        ),
        (
            {"ansible_ssh_common_args": "-o ProxyCommand='ssh jump -W [%h]:%p'"},
            "proxy_jump",
            (JumpHost(address="jump"),),
        ),
        ({"ansible_ssh_common_args": "-oStrictHostKeyChecking=accept-new"}, "host_key_policy", "accept-new"),
        ({"ansible_ssh_common_args": "-o 'UserKnownHostsFile /a /b'"}, "known_hosts_files", ("/a", "/b")),
        ({"ansible_ssh_common_args": "-F /etc/x -i /key"}, "ssh_config_file", "/etc/x"),
        ({"ansible_ssh_common_args": "-o ServerAliveInterval=30"}, "keepalive_s", 30.0),
        ({"ansible_ssh_common_args": "-p 5", "ansible_port": 6}, "port", 6),
        ({"ansible_ssh_args": "-p 5", "ansible_port": 6}, "port", 5),
        ({"ansible_ssh_common_args": "-p 5", "ansible_ssh_extra_args": "-p 7"}, "port", 5),
        ({"ansible_host": "{{ ip }}", "ip": "10.0.0.9"}, "address", "10.0.0.9"),
        ({"ansible_host": "{{ inventory_hostname }}.example.com"}, "address", "web1.example.com"),
        ({"ansible_host": "{{ net.v4[0] }}", "net": {"v4": ["10.0.0.7"]}}, "address", "10.0.0.7"),
        ({"ansible_port": "{{ p }}", "p": 99}, "port", 99),
        ({"ansible_password": "{{ vault_pw }}", "vault_pw": Secret("x")}, "password", Secret("x")),
        ({"ansible_password": "a{{ vault_pw }}", "vault_pw": Secret("x")}, "password", Secret("ax")),
    ],
)
def test_a_variable_sets_what_it_means(variables, field, value):
    assert getattr(settings(**variables), field) == value


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ansible_host": "-oProxyCommand=x"}, "begins with `-`"),
        ({"ansible_host": "a b"}, "white space"),
        ({"ansible_host": "a;b"}, "`;`"),
        ({"ansible_host": "a/b"}, "neither a host name nor an IP address"),
        ({"ansible_user": "a\x1b"}, "control characters"),
        ({"ansible_user": "$(id)"}, "contains `$`"),
        ({"ansible_port": 0}, "is not a port"),
        ({"ansible_port": "ssh"}, "is not a port"),
        ({"ansible_port": True}, "must be text"),
        ({"ansible_connection": "winrm"}, "only ssh and local"),
        ({"ansible_become_method": "enable"}, "must be one of sudo, su"),
        ({"ansible_become": "perhaps"}, "true or false"),
        ({"ansible_timeout": -1}, "positive number of seconds"),
        ({"ansible_ssh_common_args": "-o 'ProxyCommand=nc -x p %h %p'"}, "would run a program"),
        ({"ansible_ssh_common_args": "-J -oProxyCommand=x"}, "jump host that"),
        ({"ansible_ssh_common_args": "-J 'a b'"}, "white space"),
        ({"ansible_ssh_common_args": "-o Port=x"}, "sets port, which is not a port"),
        ({"ansible_ssh_common_args": "-o StrictHostKeyChecking=maybe"}, "neither yes, no nor accept-new"),
        ({"ansible_ssh_common_args": "'x"}, "quote without a partner"),
        ({"ansible_ssh_common_args": "-i"}, "without its value"),
        ({"ansible_host": "{{ ip }}"}, "variable `ip`, which the host does not have"),
        ({"ansible_host": "{{ ip | default('x') }}"}, "needs a template"),
        ({"ansible_host": "{{ a }}", "a": "{{ b }}", "b": "{{ a }}"}, "refers to itself"),
        ({"ansible_password": Vaulted("...")}, "no vault password is given"),
    ],
)
def test_a_variable_that_cannot_be_obeyed_is_refused(variables, words):
    assert words in refusal(**variables)


def test_every_refused_variable_is_told_at_once():
    text = refusal(ansible_port="x", ansible_user="-l", ansible_connection="docker")
    assert text.count("error:") == 3


def test_no_refusal_shows_a_secret():
    text = refusal(
        ansible_password=["hunter2"],
        ansible_become_pass={"a": "hunter2"},
        ansible_ssh_common_args="hunter2",
        ansible_ssh_extra_args="-o ProxyCommand='sshpass -p hunter2 ssh x'",
    )
    assert text.count("error:") == 4
    assert "hunter2" not in text


def test_what_a_host_says_of_its_effective_user_is_kept_apart_from_silence():
    assert connect(
        ansible_become="yes",
        ansible_become_user="app",
        ansible_become_method="community.general.doas",
        ansible_become_password="p",
        ansible_become_exe="/opt/doas",
        ansible_become_flags="-n -C '/etc/my conf'",
    ).become == HostBecome(
        enabled=True,
        user="app",
        method="doas",
        password=Secret("p"),
        executable="/opt/doas",
        flags=("-n", "-C", "/etc/my conf"),
    )


def test_foremans_names_of_the_effective_user_win():
    become = connect(
        ansible_become_user="a",
        remote_execution_effective_user="b",
        remote_execution_effective_user_method="su",
        remote_execution_effective_user_password="q",
        ansible_su_pass="p",
    ).become
    assert (become.user, become.method, become.password) == ("b", "su", Secret("q"))


def test_the_aliases_of_one_become_method_do_not_count_for_another():
    variables = {"ansible_su_user": "a", "ansible_become_user": "b"}
    assert connect(**variables).become.user == "b"
    assert connect(**variables, ansible_become_method="su").become.user == "a"


def test_a_proxy_command_counts_where_it_is_allowed():
    host = Host(name="w", id=1, vars={"ansible_ssh_common_args": "-o 'ProxyCommand=nc -x p %h %p'"})
    found = connection_settings(host, DEFAULTS, allow_proxy_command=True)
    assert found.settings.proxy_command == "nc -x p %h %p"


def test_an_option_without_effect_is_warned_of_and_a_harmless_one_is_not():
    harmless = connect(ansible_ssh_args="-C -o ControlMaster=auto -o ControlPersist=60s")
    assert harmless.warnings == ()
    (warning,) = connect(ansible_ssh_args="-o GSSAPIAuthentication=yes").warnings
    assert "`gssapiauthentication`, which has no effect" in warning.message


def test_switching_the_check_of_host_keys_off_is_warned_of():
    (warning,) = connect(ansible_ssh_common_args="-o StrictHostKeyChecking=no").warnings
    assert "turns the check of host keys off" in warning.message


def test_the_place_of_a_refused_variable_is_told(tmp_path):
    (tmp_path / "hosts").write_text("[web]\nweb1\n[web:vars]\nansible_timeout=soon\n")
    inventory = load(["hosts"], base=tmp_path)
    with pytest.raises(InventoryError, match=r"hosts:4: error: ansible_timeout of `web1` must be"):
        inventory.connections(DEFAULTS).of(inventory["web1"])


TOLD: list[dict[str, object]] = [
    {},
    {"rack": "r1"},
    {"ansible_host": "10.0.0.1"},
    {"ansible_host": "10.0.0.2", "rack": "r2"},
    {"ansible_host": "{{ rack }}.example.com", "rack": "r3"},
    {"ansible_host": "-oops"},
    {"ansible_host": 7},
    {"ansible_ssh_host": "b", "ansible_host": "a"},
    *({"ansible_port": port} for port in (22, "22", 2222, "soon", True, 1, 1.0, "{{ rack }}")),
    {"ansible_user": "{{ owner }}", "owner": "ann"},
    {"ansible_user": "{{ owner }}", "owner": "bob"},
    {"ansible_password": Secret("x")},
    {"ansible_password": Secret("y")},
    {"ansible_become": True, "ansible_become_method": "su", "ansible_su_user": "www"},
    {"ansible_become": True, "ansible_become_method": "sudo", "ansible_su_user": "www"},
    {"ansible_ssh_args": "-o GSSAPIAuthentication=yes"},
    {"ansible_ssh_args": "-o StrictHostKeyChecking=no"},
    {"ansible_facts": {"os": "x"}, "ansible_user": "ann"},
]


def outcome(work_out, host: Host) -> object:
    try:
        return work_out(host)
    except InventoryError as error:
        return error.problems


def test_hosts_together_are_reached_as_each_is_alone():
    hosts = [
        Host(name=name, id=number, vars=variables)
        for number, (name, variables) in enumerate(
            (name, variables) for name in ("web1", "web2", "no good") for variables in TOLD
        )
    ]
    together = Connections(DEFAULTS, locate=lambda *_: None)
    for host in hosts:
        assert outcome(together.of, host) == outcome(lambda each: connection_settings(each, DEFAULTS), host)
