"""chargehand.toml: closed, typed, every problem at once."""

import pytest

from chargehand.errors import SettingsError
from chargehand.settings import Settings, load_settings, read_listen, read_settings


def problems(text):
    with pytest.raises(SettingsError) as refused:
        read_settings(text)
    return refused.value.problems


def test_a_project_without_a_file_has_the_defaults(tmp_path):
    settings = load_settings(tmp_path)
    assert settings.effective_user == "root"
    assert settings.host_key_policy == "strict"
    assert settings.plain_secrets == "refuse"


def test_values_are_taken_over_as_written():
    settings = read_settings(
        'ssh_user = "ops"\nssh_port = 2222\ninventory = ["a", "b"]\nconnect_timeout = 2.5\n'
    )
    expected = ("ops", 2222, ("a", "b"), 2.5)
    assert (settings.ssh_user, settings.ssh_port, settings.inventory, settings.connect_timeout) == expected


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_name():
    (problem,) = problems('time_zone = "UTC"\nssh_usr = "ops"\n')
    assert (problem.place.line, problem.place.column) == (2, 1)
    assert "`ssh_usr`" in problem.message
    assert problem.hint == "did you mean `ssh_user`?"


def test_every_problem_is_told_at_once():
    found = problems('concurrency_level = 0\nssh_port = 70000\nagent = "yes"\nhost_key_policy = "maybe"\n')
    assert [problem.place.line for problem in found] == [1, 2, 3, 4]


def test_a_secret_written_out_is_refused_without_being_repeated():
    (problem,) = problems('password = "hunter2-canary"\n')
    assert "hunter2-canary" not in str(problem)


def test_a_syntax_error_points_at_its_line_and_column():
    (problem,) = problems("agent = true\nssh_user = \n")
    assert (problem.place.line, problem.place.column) == (2, 12)


def test_booleans_are_no_numbers():
    assert problems("concurrency_level = true\n")


def test_settings_are_a_value():
    assert Settings() == Settings()


@pytest.mark.parametrize(
    "store",
    [
        '"postgresql://ops@db.example.com/chargehand?sslmode=verify-full"',
        '"sqlite:////var/lib/chargehand/history.db"',
        '"off"',
        '{ env = "CHARGEHAND_URL" }',
    ],
)
def test_the_address_of_a_store_is_a_url_without_a_password_or_a_reference(store):
    assert read_settings(f"store = {store}\n").store


@pytest.mark.parametrize(
    "store",
    [
        '"postgresql://ops:hunter2-canary@db/chargehand"',
        '"postgresql://ops@db/chargehand?password=hunter2-canary"',
        '"postgresql://ops@db/chargehand?PASSWOR%44=hunter2-canary"',
        '"postgresql://ops@[db/hunter2-canary"',
        '"hunter2-canary"',
        '""',
        "true",
    ],
)
def test_a_password_in_the_address_of_a_store_is_refused_without_being_repeated(store):
    (problem,) = problems(f"store = {store}\n")
    assert problem.place.line == 1
    assert "hunter2-canary" not in str(problem)


GIT = '[git]\nurl = "https://git.example.com/fleet"\n'


def test_a_tracked_repository_has_defaults_and_keys_make_every_commit_need_a_signature():
    remote = read_settings(GIT).git
    assert (remote.branch, remote.require, remote.force_push, remote.protocols) == (
        "main",
        None,
        "refuse",
        ("https", "ssh"),
    )
    rules = 'allowed_signers = "keys"\n[[git.signers]]\npaths = ["**"]\nwho = ["alice"]\n'
    remote = read_settings(GIT + rules).git
    assert (remote.require, remote.signers[0].who) == ("every-commit", ("alice",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('brnch = "x"', "unknown setting `git.brnch`"),
        ('branch = "-x"', "`git.branch` must be the name of a branch"),
        ('branch = "a..b"', "`git.branch` must be the name of a branch"),
        ('branch = "a:refs/heads/b"', "`git.branch` must be the name of a branch"),
        ('branch = "x.lock"', "`git.branch` must be the name of a branch"),
        ('path = "../x"', "`git.path` must be a folder of the repository"),
        ('path = "/x"', "`git.path` must be a folder of the repository"),
        ("interval = 1", "`git.interval` must be seconds, 5 to 86400"),
        ('protocols = ["ext"]', "`git.protocols` must be a list of"),
        ('token = "canary"', "`git.token` must be a secret reference"),
        ("token = { prompt = true }", "`git.token` must be a secret reference"),
        ('private_key_file = "k"', "`git.private_key` is for ssh"),
        ('require = "head"', "`git.require` needs keys"),
        ('since = "main"', "`git.since` must be the full name of a commit"),
        ('allowed_signers = "k"\n[[git.signers]]\npaths = ["**"]', "`git.signers.who` is missing"),
        ('allowed_signers = "k"\n[[git.signers]]\npaths = ["!a"]\nwho = ["b"]', "`!a` only takes back"),
    ],
)
def test_what_is_wrong_with_a_tracked_repository_is_told_without_secrets(line, message):
    (problem, *_) = problems(f"{GIT}{line}\n")
    assert message in problem.message
    assert "canary" not in str(problem)


def test_a_repository_whose_url_is_wrong_or_missing_is_refused():
    (problem,) = problems('[git]\nurl = "https://ops:canary@host/x"\n')
    assert problem.message == "`git.url`: a password must not stand in the URL"
    assert "canary" not in str(problem)
    (problem,) = problems('[git]\nbranch = "main"\n')
    assert problem.message == "`git.url` is missing"


def test_the_table_of_webhooks_is_taken_over_as_written():
    lines = (
        'listen = "[::1]:8080"',
        'secrets = [{ env = "A" }, { file = "b" }]',
        'senders = ["gitea", "gogs"]',
    )
    webhook = read_settings("\n".join(("[webhook]", *lines))).webhook
    assert (webhook.listen, webhook.senders) == ("[::1]:8080", ("gitea", "gogs"))
    assert (webhook.path, webhook.max_body, webhook.window) == ("/hooks/git", 1024 * 1024, 300.0)
    assert read_listen("[::1]:8080") == ("::1", 8080)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('listen = "127.0.0.1"', None),
        ('listen = "127.0.0.1:65536"', None),
        ('listen = "::1:8080"', None),
        ('path = "hooks"', None),
        ('path = "/health"', None),
        ('path = "/hooks/{id}"', None),
        ("secrets = []", None),
        ('secrets = ["hunter2-canary"]', None),
        ('secret = "hunter2-canary"', "did you mean `secrets`?"),
        ('senders = ["github", "gitbucket"]', None),
        ('branches = "main"', "did you mean `branch`?"),
        ("max_body = 0", None),
        ("max_body = 1000000000", None),
        ("window = -1", None),
    ],
)
def test_what_is_wrong_in_the_table_of_webhooks_is_told_with_its_line(line, hint):
    (problem,) = problems(f'ssh_user = "ops"\n[notify]\nsecrets = {{ env = "A" }}\n[webhook]\n\n{line}\n')
    assert (problem.place.line, problem.place.column, problem.hint) == (6, 1, hint)
    assert "hunter2-canary" not in str(problem)


def test_a_table_of_webhooks_may_be_written_with_dots_or_in_one_line():
    (problem,) = problems('webhook.path = "/a"\nwebhook.window = 0\n')
    assert (problem.place.line, problem.place.column) == (2, 9)
    (problem,) = problems('agent = true\nwebhook = { secrets = ["hunter2-canary"] }\n')
    assert problem.place.line == 2
    assert "hunter2-canary" not in str(problem)
    (problem,) = problems("webhook = 7\n")
    assert "a table" in problem.message
