"""Taking on the effective user: real accounts, real sudo, su and doas, over a real sshd."""

import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chargehand.connection import Become, BecomeMethod
from chargehand.provider import Ending, NotStarted, Stop, Unreachable
from chargehand.script import RenderedScript
from chargehand.secret import Secret
from chargehand.ssh import SshProvider
from chargehand.start.become import Marks, compose_request
from heard import Heard
from sshd import Account, Sshd, wait_until

pytestmark = [pytest.mark.sshd, pytest.mark.root]

PASSWORD = "canary-Pa55 'word\"$x"
SPOOF = """
printf '[sudo] password for root: '; printf '[sudo] password: ' >&2; printf 'Password: ' >&2
read -r x; echo "got:$x"; cat; tr '\\0' '\\n' <"/proc/$PPID/cmdline"
id -un
"""


@pytest.fixture
def account() -> Iterator[Account]:
    """Somebody who logs in, with a password and no rights."""
    with Account(password=PASSWORD, shell="/bin/bash") as made:
        yield made


@pytest.fixture
def provider() -> Iterator[SshProvider]:
    with closing(SshProvider()) as made:
        yield made


class Login:
    """An account on the sshd, from which scripts become another user."""

    def __init__(self, provider: SshProvider, sshd: Sshd, account: Account) -> None:
        self.provider = provider
        self.sshd = sshd
        self.account = account
        self.heard = Heard()

    def run(
        self,
        content: str,
        become: Become | None = None,
        *,
        start_timeout_s: float = 30,
        timeout_s: float | None = 30,
    ) -> tuple[Ending, Heard]:
        self.heard = Heard()
        settings = self.sshd.settings(user=self.account.name, start_timeout_s=start_timeout_s)
        script = RenderedScript(content=content.encode(), become=become, timeout_s=timeout_s)
        with closing(self.provider.open(settings, Stop(), script)) as session:
            ending = session.run(script, self.heard, Stop())
            session.settle()
        return ending, self.heard

    def refused(
        self, become: Become | None, content: str = "id", *, start_timeout_s: float = 30
    ) -> NotStarted:
        with pytest.raises(NotStarted) as failure:
            self.run(content, become, start_timeout_s=start_timeout_s)
        assert self.heard.starts == 0
        for told in (failure.value.reason, failure.value.noise, str(failure.value)):
            assert PASSWORD not in told
        return failure.value


@pytest.fixture
def login(provider: SshProvider, sshd: Sshd, account: Account) -> Login:
    return Login(provider, sshd, account)


def root(
    password: str | None = PASSWORD,
    *,
    user: str = "root",
    method: BecomeMethod = "sudo",
    executable: str | None = None,
    flags: tuple[str, ...] = (),
) -> Become:
    secret = None if password is None else Secret(password)
    return Become(user=user, method=method, password=secret, executable=executable, flags=flags)


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_sudo_that_asks_nothing_gives_the_password_to_nobody(login: Login, password: str | None) -> None:
    login.account.may_sudo("(ALL) NOPASSWD: ALL")
    ending, heard = login.run(SPOOF, root(password))
    assert ending.exit_status == 0
    assert heard.stdout.splitlines()[-1] == b"root"
    assert b"got:\n" in heard.stdout
    assert PASSWORD.encode() not in heard.stdout + heard.stderr


def test_sudo_gets_its_password_and_the_script_does_not(login: Login) -> None:
    login.account.may_sudo("(ALL) ALL")
    ending, heard = login.run(SPOOF, root())
    assert ending.exit_status == 0
    assert heard.stdout.splitlines()[-1] == b"root"
    assert PASSWORD.encode() not in heard.stdout + heard.stderr
    assert PASSWORD not in ending.noise


def test_a_cached_ticket_leaves_the_password_unsent(login: Login) -> None:
    login.account.may_sudo("Defaults timestamp_type=global", "(ALL) ALL")
    login.run("true", root())
    ending, heard = login.run(SPOOF, root())
    assert ending.exit_status == 0
    assert PASSWORD.encode() not in heard.stdout + heard.stderr


def test_a_wrong_password_is_tried_once(login: Login) -> None:
    login.account.may_sudo(
        "(ALL) ALL", "Defaults passwd_tries=3, logfile=" + str(login.account.home / "sudo.log")
    )
    assert login.refused(root("wrong")).code == "become-wrong-password"
    log = login.account.home / "sudo.log"
    wait_until(log.exists, what="sudo logs the attempt")
    assert "1 incorrect password attempt" in " ".join(log.read_text().split())


@pytest.mark.parametrize(
    ("rules", "become", "code"),
    [
        ((), root(), "become-denied"),
        ((), root(None), "become-password-required"),
        (("(ALL) ALL",), root(None), "become-password-required"),
        (("(nobody) NOPASSWD: ALL",), root(None), "become-password-required"),
        (("(nobody) NOPASSWD: ALL",), root(), "become-denied"),
        (("(ALL) NOPASSWD: ALL",), root(user="nosuchuser"), "become-user"),
        (("(ALL) NOPASSWD: ALL",), root(None, user="nosuchuser"), "become-user"),
        (("(ALL) ALL",), root(executable="/nonexistent/sudo"), "become-missing"),
        (("(ALL) ALL",), root(None, method="dzdo"), "become-missing"),
    ],
)
def test_what_sudo_refuses_is_told_apart(
    login: Login, rules: tuple[str, ...], become: Become, code: str
) -> None:
    login.account.may_sudo(*rules)
    assert login.refused(become).code == code


def test_a_sudo_that_speaks_another_language_is_understood(login: Login) -> None:
    login.account.may_sudo("(ALL) NOPASSWD: ALL")
    login.account.write(".bashrc", "export LC_ALL=C.UTF-8 LANGUAGE=de:fr\n")
    _, heard = login.run('echo "$LC_ALL"', root())
    assert heard.stdout == b"C.UTF-8\n"
    assert login.refused(root(user="nosuchuser")).code == "become-user"


@pytest.mark.parametrize("rule", ["(ALL) NOPASSWD: ALL", "(ALL) ALL"])
def test_a_sudo_that_demands_a_terminal_gets_one(login: Login, rule: str) -> None:
    login.account.may_sudo(rule, "Defaults requiretty")
    size = 200_000
    script = f"{SPOOF}\ntest -t 1 && echo terminal\nprintf 'a\\tb\\001\\177\\r\\n'; exit 3\n# {'é' * size}\n"
    ending, heard = login.run(script, root())
    assert (ending.exit_status, ending.pty) == (3, True)
    assert b"terminal\na\tb\x01\x7f\r\n" in heard.stdout
    assert b"root\n" in heard.stdout
    assert heard.stderr == b""
    assert PASSWORD.encode() not in heard.stdout
    assert PASSWORD not in ending.noise


def test_a_script_on_a_terminal_is_stopped_too(login: Login) -> None:
    login.account.may_sudo("(ALL) NOPASSWD: ALL", "Defaults requiretty")
    ending, heard = login.run("echo up; sleep 1011 & wait", root(), timeout_s=0.5)
    assert (ending.halted, ending.signal, ending.pty) == ("timed_out", "TERM", True)
    assert heard.stdout == b"up\n"


@pytest.mark.parametrize(
    "rule",
    [
        "Defaults lecture=always",
        "Defaults passprompt_override",
        'Defaults passprompt="Enter something: "',
        "Defaults !use_pty",
        "Defaults use_pty, log_output, iolog_dir=/var/tmp/.iolog-test",
        "Defaults targetpw, !targetpw",
        "Defaults env_keep += TMPDIR, umask=0777",
    ],
)
def test_sudo_may_be_set_up_in_many_ways(login: Login, rule: str) -> None:
    login.account.may_sudo("(ALL) ALL", rule)
    ending, heard = login.run("id -un; cat", root())
    assert ending.exit_status == 0
    assert (heard.stdout, heard.stderr) == (b"root\n", b"")
    shutil.rmtree("/var/tmp/.iolog-test", ignore_errors=True)


def test_the_script_runs_at_home_of_the_effective_user_and_not_of_the_login(login: Login) -> None:
    login.account.may_sudo("(ALL) NOPASSWD: ALL")
    with Account() as other:
        _, heard = login.run('pwd; id -un; echo "$HOME"; stat -c %U "$0"', root(user=other.name))
    assert heard.stdout.decode().split() == [str(other.home), other.name, str(other.home), other.name]


SUDO_RS = """#!/usr/bin/python3
import sys
prompt = sys.argv[sys.argv.index("-p") + 1]
sys.stderr.write(f"[sudo: {prompt}] Password: ")
sys.stderr.flush()
word = b""
while not word.endswith(b"\\n"):
    word += __import__("os").read(0, 1)
if word != b"rs-canary\\n":
    sys.exit("sudo: Authentication failed, try again.")
__import__("os").execvp("/bin/sh", sys.argv[sys.argv.index("--") + 1:])
"""


def test_the_prompt_of_sudo_rs_is_known(login: Login) -> None:
    program = login.account.home / "sudo"
    login.account.write("sudo", SUDO_RS)
    program.chmod(0o755)
    ending, heard = login.run("echo became", root("rs-canary", executable=str(program)))
    assert (ending.exit_status, heard.stdout) == (0, b"became\n")
    assert login.refused(root("wrong", executable=str(program))).code == "become-wrong-password"


SECOND_FACTOR = """#!/bin/sh
printf 'Verification code: ' >&2
read -r x
echo "sudo: got '$x'" >&2
"""


def test_a_question_that_is_no_password_prompt_gets_no_answer(login: Login) -> None:
    program = login.account.home / "sudo"
    login.account.write("sudo", SECOND_FACTOR)
    program.chmod(0o755)
    failure = login.refused(root(executable=str(program)), start_timeout_s=2)
    assert failure.code == "become-prompt"
    assert "Verification code:" in failure.reason


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/zsh"])
def test_su_takes_the_password_of_the_effective_user_whatever_its_shell(login: Login, shell: str) -> None:
    if not Path(shell).exists():
        pytest.skip(f"{shell} is not installed")
    with Account(password="other-canary", shell=shell) as other:
        become = root("other-canary", user=other.name, method="su")
        ending, heard = login.run("id -un; pwd; read -r x; echo $x", become)
        assert (ending.exit_status, heard.stdout.decode().split()) == (0, [other.name, str(other.home)])
        assert login.refused(root("wrong", user=other.name, method="su")).code == "become-wrong-password"
        assert login.refused(root(None, user=other.name, method="su")).code == "become-password-required"
    assert login.refused(root(user="nosuchuser", method="su")).code == "become-user"


def test_su_needs_no_password_from_root(provider: SshProvider, sshd: Sshd, account: Account) -> None:
    settings = sshd.settings()
    heard = Heard()
    script = RenderedScript(content=b"id -un", become=root(None, user=account.name, method="su"))
    with closing(provider.open(settings, Stop(), script)) as session:
        ending = session.run(script, heard, Stop())
        session.settle()
    assert (ending.exit_status, heard.stdout.decode()) == (0, f"{account.name}\n")


@pytest.fixture
def doas(account: Account) -> Iterator[None]:
    """doas has one file for all, so the rules of this test are added and taken away."""
    if shutil.which("doas") is None:
        pytest.skip("doas is not installed")
    rules = Path("/etc/doas.conf")
    before = rules.read_text() if rules.exists() else None
    rules.write_text(
        (before or "") + f"permit {account.name} as root\npermit nopass {account.name} as nobody\n"
    )
    yield
    if before is None:
        rules.unlink()
    else:
        rules.write_text(before)


@pytest.mark.usefixtures("doas")
def test_doas_asks_on_a_terminal_and_is_answered_there(login: Login) -> None:
    ending, heard = login.run(SPOOF, root(method="doas"))
    assert (ending.exit_status, ending.pty) == (0, True)
    assert heard.stdout.splitlines()[-1] == b"root"
    assert PASSWORD.encode() not in heard.stdout
    assert PASSWORD not in ending.noise
    ending, heard = login.run("id -un", root(None, user="nobody", method="doas"))
    assert (ending.pty, heard.stdout) == (False, b"nobody\n")
    assert login.refused(root("wrong", method="doas")).code == "become-wrong-password"
    assert login.refused(root(None, method="doas")).code == "become-password-required"
    assert login.refused(root(None, user="daemon", method="doas")).code == "become-denied"


NOISE = {
    "/bin/bash": (".bashrc", "echo noise; echo noise >&2; printf '[sudo] password for me: '\n"),
    "/bin/sh": (".profile", "echo noise\n"),
    "/bin/dash": (".profile", "echo noise\n"),
    "/usr/bin/fish": (".config/fish/config.fish", "echo noise; echo noise >&2\n"),
    "/usr/bin/tcsh": (".tcshrc", "echo noise\n"),
    "/usr/bin/zsh": (".zshenv", "echo noise; echo noise >&2\n"),
    "/usr/bin/ksh": (".kshrc", "echo noise\n"),
}


@pytest.mark.parametrize("shell", NOISE)
@pytest.mark.parametrize("become", [None, root(None), root()], ids=["plain", "sudo", "sudo-password"])
def test_any_login_shell_and_its_noise_will_do(
    provider: SshProvider, sshd: Sshd, shell: str, become: Become | None
) -> None:
    if not Path(shell).exists():
        pytest.skip(f"{shell} is not installed")
    with Account(shell=shell, password=PASSWORD) as account:
        account.may_sudo("(ALL) ALL" if become and become.password else "(ALL) NOPASSWD: ALL")
        account.write(*NOISE[shell])
        ending, heard = Login(provider, sshd, account).run('printf "%s" "$(id -un)"; exit 3', become)
        assert ending.exit_status == 3
        assert heard.stdout.decode() == ("root" if become else account.name)
        assert heard.stderr == b""
        assert set(ending.noise.replace("[sudo] password for me:", "").split()) <= {"noise"}
        if "csh" in shell or "zsh" in shell or "fish" in shell:
            assert "noise" in ending.noise


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/bin/rbash"])
def test_an_account_that_runs_no_command_is_not_started(
    provider: SshProvider, sshd: Sshd, shell: str
) -> None:
    with Account(shell=shell) as account:
        login = Login(provider, sshd, account)
        failure = login.refused(None, start_timeout_s=5)
    assert failure.code == "no-start"
    assert ("available" in failure.reason) == (shell == "/usr/sbin/nologin")


def test_a_shell_that_does_not_exist_is_no_login(provider: SshProvider, sshd: Sshd) -> None:
    with Account(shell="/nonexistent/shell") as account, pytest.raises(Unreachable):
        Login(provider, sshd, account).run("id")


def test_an_expired_password_is_not_started_with_its_words(login: Login) -> None:
    subprocess.run(["chage", "-d", "0", login.account.name], check=True)
    failure = login.refused(None, start_timeout_s=5)
    assert failure.code == "no-start"
    assert "password" in failure.reason.lower()


@pytest.mark.parametrize(
    "forced",
    [
        "ForceCommand echo denied: $SSH_ORIGINAL_COMMAND",
        "ForceCommand echo denied: $SSH_ORIGINAL_COMMAND >&2; cat",
        "ForceCommand internal-sftp",
    ],
)
def test_a_forced_command_gets_no_password_and_starts_nothing(
    provider: SshProvider, account: Account, tmp_path: Path, forced: str
) -> None:
    account.may_sudo("(ALL) ALL")
    with Sshd(tmp_path, lines=[f"Match User {account.name}", forced]) as sshd:
        login = Login(provider, sshd, account)
        for become in (None, root()):
            failure = login.refused(become, start_timeout_s=2)
            assert failure.code in ("no-start", "start-timeout")
            assert ("denied" in failure.noise) == ("denied" in forced)


def test_a_traced_shell_shows_no_secret_and_starts(login: Login) -> None:
    login.account.may_sudo("(ALL) ALL")
    login.account.write(".bashrc", "set -x\n")
    ending, heard = login.run("id -un", root())
    assert (ending.exit_status, heard.stdout) == (0, b"root\n")
    assert PASSWORD not in ending.noise


def test_no_secret_stands_in_an_argument_list_or_environment_at_any_time(login: Login) -> None:
    """Everything this machine runs is read as fast as can be while passwords and scripts pass."""
    login.account.may_sudo("(ALL) ALL")
    canary = f"canary-{secrets.token_hex(8)}"  # other tests, which run beside, have their own
    seen: set[str] = set()
    watching = subprocess.Popen(
        [
            "sh",
            "-c",
            "while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; done",
        ],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert watching.stdout is not None
    try:

        def read() -> None:
            assert watching.stdout is not None
            for line in watching.stdout:
                text = line.decode(errors="replace").strip()
                if canary in text or "nonce=" in text or "sudo" in text:
                    seen.add(text)

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(5):
            login.run(f"# {canary}\nsleep 0.2", root())
    finally:
        os.killpg(watching.pid, signal.SIGKILL)
        watching.wait()
        reader.join()
        watching.stdout.close()
    assert any("sudo" in text for text in seen), "the watch saw nothing"
    assert not [text for text in seen if canary in text or "nonce=" in text]


@pytest.fixture
def program(account: Account) -> Iterator[Path]:
    """Where a program may stand that the account can run; taken away after the test."""
    path = Path(f"/usr/local/bin/{account.name}-program")
    yield path
    path.unlink(missing_ok=True)


def test_dzdo_is_asked_as_sudo_is(login: Login, program: Path) -> None:
    """Nobody gives dzdo away; it takes sudo's options, so sudo goes by its name."""
    program.symlink_to(shutil.which("sudo") or "sudo")
    login.account.may_sudo("(ALL) ALL")
    ending, heard = login.run(SPOOF, root(method="dzdo", executable=str(program)))
    assert (ending.exit_status, ending.pty) == (0, False)
    assert heard.stdout.splitlines()[-1] == b"root"
    assert PASSWORD.encode() not in heard.stdout + heard.stderr
    wrong = login.refused(root("wrong", method="dzdo", executable=str(program)))
    assert wrong.code == "become-wrong-password"


RUN0 = """#!/bin/sh
user=${1#--user=}; shift 2
if [ -t 0 ]; then
    stty -echo </dev/tty; printf 'Password: ' >/dev/tty; IFS= read -r given </dev/tty; echo >/dev/tty
    [ "$given" = "$(cat "$0.password")" ] || { echo "Access denied: authentication failed"; exit 1; }
fi
exec sudo -n -u "$user" -- "$@"
"""


def test_run0_asks_on_a_terminal_and_is_answered_there(login: Login, program: Path) -> None:
    """A stand-in that asks as polkit's agent does: run0 needs a newer systemd than Debian 12 has."""
    login.account.may_sudo("(ALL) NOPASSWD: ALL")
    program.write_text(RUN0)
    program.chmod(0o755)
    password = program.with_name(f"{program.name}.password")
    password.write_text(PASSWORD)
    try:
        ending, heard = login.run(SPOOF, root(method="run0", executable=str(program)))
        wrong = login.refused(root("wrong", method="run0", executable=str(program)))
        quiet, said = login.run("id -un", root(None, method="run0", executable=str(program)))
    finally:
        password.unlink()
    assert (ending.exit_status, ending.pty) == (0, True)
    assert heard.stdout.splitlines()[-1] == b"root"
    assert PASSWORD.encode() not in heard.stdout
    assert wrong.code == "become-wrong-password"
    assert (quiet.exit_status, quiet.pty, said.stdout) == (0, False, b"root\n")


def test_the_arguments_of_run0_ask_for_the_user() -> None:
    request = compose_request(
        root(method="run0", flags=("--nice=5",)),
        Marks(left="a" * 16, right="b" * 16, prompt="c" * 32),
        pty=True,
    )
    assert 'exec "run0" "--nice=5" "--user=root" "--" /bin/sh -c "$1"' in request


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "ksh", "fish", "tcsh", "zsh", "busybox sh"])
def test_any_shell_reads_odd_words_of_a_request_alike(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "become it"
    program.write_text('#!/bin/sh\nfor word; do printf "<%s>" "$word"; done\n')
    program.chmod(0o755)
    words = ("-x", "a b", "it's", 'say "x"', "$HOME", "`id`", "back\\slash", "bang!", "*", "ünï", "a;b&c|d")
    become = Become(user="CORP\\bob", executable=str(program), flags=words)
    request = compose_request(become, Marks(left="a" * 16, right="b" * 16, prompt="c" * 32), pty=False)
    assert "\n" not in request
    done = subprocess.run([*shell.split(), "-c", request], capture_output=True, text=True, check=True)
    expected = "".join(f"<{word}>" for word in (*words, "-n", "-u", "CORP\\bob", "-H", "--", "/bin/sh", "-c"))
    assert done.stdout.startswith(expected)
