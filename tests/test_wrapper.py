"""The wrapper on poor, odd and hostile hosts: other shells, missing programs, full disks, cut uploads."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chargehand.connection import Become, ConnectionSettings
from chargehand.local import LocalChannel, LocalProvider
from chargehand.provider import Ending, NotStarted, Stop
from chargehand.script import RenderedScript
from chargehand.start.channel import ConnectionLost
from chargehand.start.conduct import Conduct
from chargehand.start.wrapper import TEXT_BYTES, Wrapper, escape, join_lines
from heard import Heard
from sshd import wait_until

SHELLS = ["dash", "bash", "ksh", "busybox sh"]


class Host:
    """This machine as a host with an environment, a shell and a way in of its own."""

    def __init__(self, provider: LocalProvider, folder: Path) -> None:
        self.provider = provider
        self.folder = folder
        self.shell = "/bin/sh"
        self.environment: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
        }
        self.inside: tuple[str, str] = ("", "")
        self.start_timeout_s = 30.0
        self.work_folders: tuple[str, ...] = ()

    def open(self, request: str, *, pty: bool) -> LocalChannel:
        request = request.replace("/bin/sh", self.shell, 1)
        before, after = self.inside
        return self.provider.start(before + request + after, self.environment, pty=pty)

    def run(self, content: str | bytes, *, settle: bool = True, **words: Any) -> tuple[Ending, Heard]:
        content = content.encode() if isinstance(content, str) else content
        settings = ConnectionSettings(
            provider="local",
            address="here",
            start_timeout_s=self.start_timeout_s,
            work_folders=self.work_folders,
        )
        heard = Heard()
        with closing(Conduct(self.open, settings)) as conduct:
            ending = conduct.run(RenderedScript(content=content, **words), heard, Stop())
            if settle:
                conduct.settle()
        return ending, heard

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    folder = tmp_path / "host"
    folder.mkdir()
    with closing(LocalProvider()) as provider:
        yield Host(provider, folder)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    program, *arguments = request.param.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return " ".join((path, *arguments))


def without(host: Host, *missing: str) -> None:
    """Take programs away from the host."""
    programs = host.folder.parent / "bin"
    programs.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for path in Path(folder).iterdir():
            link = programs / path.name
            if path.name not in missing and not link.is_symlink():
                link.symlink_to(path)
    host.environment["PATH"] = str(programs)


@pytest.mark.parametrize(
    ("script", "exit_status", "signal"),
    [
        ("exit 0", 0, None),
        ("exit 137", 137, None),
        ("exit 255", 255, None),
        ("kill -KILL $$", None, "KILL"),
        ("kill -TERM $$", None, "TERM"),
        ("kill -SEGV $$", None, "SEGV"),
    ],
)
def test_every_shell_tells_the_fate_of_the_script(
    host: Host, shell: str, script: str, exit_status: int | None, signal: str | None
) -> None:
    host.shell = shell
    ending, heard = host.run(f"echo out; echo err >&2\n{script}")
    assert (ending.exit_status, ending.signal, ending.lost) == (exit_status, signal, "")
    assert (heard.stdout, heard.stderr) == (b"out\n", b"err\n")
    assert host.left() == []


def test_every_shell_stops_a_script_with_its_children(host: Host, shell: str) -> None:
    host.shell = shell
    ending, _ = host.run("sleep 1005 & echo $! >pid; wait", timeout_s=0.5)
    assert (ending.halted, ending.signal) == ("timed_out", "TERM")
    child = int((host.folder / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or " Z " in state.read_text()


def test_what_nobody_will_ask_about_leaves_no_folder_though_nobody_heard_its_end(
    host: Host, shell: str
) -> None:
    host.shell = shell
    host.run("true", settle=False)
    (kept,) = host.left()
    host.run("true", settle=False, transient=True)
    wait_until(lambda: host.left() == [kept], what="only the folder of the other one is left")


def test_every_shell_passes_a_long_script_unharmed(host: Host, shell: str) -> None:
    host.shell = shell
    ending, heard = host.run("#!/usr/bin/wc -c\n" + "x" * 700_000)
    assert ending.exit_status == 0
    assert heard.stdout.split()[0] == b"700017"


@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
@pytest.mark.parametrize("size", [1, 300])
def test_every_shell_passes_every_byte_unharmed(host: Host, shell: str, language: str, size: int) -> None:
    host.shell = shell
    host.environment["LC_ALL"] = language
    content = b"#!/bin/cat\n" + bytes(range(256)) * size + rb"\n\0101\c%s%b $HOME `id` 'a' '' !1 -"
    ending, heard = host.run(content)
    assert (ending.exit_status, heard.stdout) == (0, content)
    assert host.left() == []


@pytest.mark.parametrize("content", [b"", b"\n", b"-n", b"\\c", b"\0", b"'", "echo ž\r\n".encode()])
def test_every_shell_passes_short_scripts_unharmed(host: Host, shell: str, content: bytes) -> None:
    host.shell = shell
    host.environment["PATH"] = f"{host.folder.parent}:{host.environment['PATH']}"
    interpreter = host.folder.parent / "show"
    interpreter.write_text('#!/bin/sh\nexec cat "$1"\n')
    interpreter.chmod(0o700)
    content = b"#!show\n" + content
    assert host.run(content)[1].stdout == content


def test_an_empty_script_does_nothing(host: Host, shell: str) -> None:
    host.shell = shell
    assert host.run(b"")[0].exit_status == 0


def test_a_short_script_is_sent_in_one_printable_line_and_a_long_one_as_it_is() -> None:
    assert escape(b"it's\t5\\6 %\r\n") == r"it'\''s\t5\\6 %\0015\n"
    assert escape(b"a" * TEXT_BYTES) == "a" * TEXT_BYTES
    assert escape(b"a" * (TEXT_BYTES + 1)) == escape(b"\0" * (TEXT_BYTES // 4)) == ""


def test_the_line_of_the_wrapper_means_what_its_file_means() -> None:
    program = (
        "# why\nif true; then\n  echo a\nelse\n  echo b\nfi\n\ncase x in\n  x) echo c ;;\nesac\n"
        "f() {\n  true &&\n    echo d\n}\nf &\nwait\n"
    )
    line = join_lines(program)
    assert "\n" not in line
    said = [
        subprocess.run(["sh", "-c", text], capture_output=True, check=True).stdout for text in (program, line)
    ]
    assert said[0] == said[1] == b"a\nc\nd\n"


@pytest.mark.parametrize("missing", [("setsid",), ("setsid", "perl"), ("setsid", "perl", "python3")])
def test_a_host_without_setsid_stops_scripts_too(host: Host, missing: tuple[str, ...]) -> None:
    without(host, *missing)
    ending, _ = host.run("exec sleep 1006", timeout_s=0.3)
    assert (ending.halted, ending.signal) == ("timed_out", "TERM")


def test_a_host_without_checksums_process_tools_or_mktemp_is_enough(host: Host) -> None:
    without(
        host,
        "sha256sum",
        "ps",
        "pkill",
        "mktemp",
        "base64",
        "setfacl",
        "perl",
        "python3",
        "awk",
        "sed",
        "head",
    )
    ending, heard = host.run("echo up; sleep 1007 & wait", timeout_s=0.5)
    assert (ending.halted, heard.stdout) == ("timed_out", b"up\n")
    assert host.left() == []


def test_a_host_of_busybox_alone_is_enough(host: Host, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    subprocess.run([busybox, "--install", "-s", str(programs)], check=True, capture_output=True)
    host.shell = f"{busybox} sh"
    host.environment["PATH"] = str(programs)
    ending, heard = host.run("echo up; sleep 1008 & wait", timeout_s=0.5)
    assert (ending.halted, heard.stdout) == ("timed_out", b"up\n")
    assert host.left() == []


@pytest.mark.parametrize("mask", ["000", "022", "077", "777"])
def test_whatever_the_umask_the_folder_is_closed_and_the_script_keeps_it(
    host: Host, shell: str, mask: str
) -> None:
    host.shell = shell
    host.inside = (f"umask {mask}; ", "")
    _, heard = host.run('umask; stat -c %a "${0%/*}" "$0"')
    assert heard.stdout.decode().split() == [f"0{mask}", "700", "600"]
    assert host.left() == []


def test_a_work_folder_may_lie_in_the_home(host: Host) -> None:
    (host.folder / "work dir").mkdir()
    host.work_folders = ("~/nowhere", "~/work dir")
    ending, heard = host.run('printf %s "$0"')
    assert ending.exit_status == 0
    assert heard.stdout.decode().startswith(f"{host.folder}/work dir/.chargehand-")


@pytest.mark.parametrize("folder", ["", "relative", "-rf", "/nonexistent", "/dev/null", "/proc", "../.."])
def test_a_useless_tmpdir_is_passed_over(host: Host, folder: str) -> None:
    host.environment["TMPDIR"] = folder
    _, heard = host.run('echo "$0"')
    assert heard.stdout.startswith(b"/var/tmp/.chargehand-")


def test_a_tmpdir_with_blanks_and_quotes_is_used(host: Host) -> None:
    folder = host.folder / "a b'c$(d)*"
    folder.mkdir()
    host.environment["TMPDIR"] = str(folder)
    _, heard = host.run('echo "$0"')
    assert heard.stdout.decode().startswith(f"{folder}/.chargehand-")


def test_without_home_and_language_a_script_runs_at_the_root(host: Host) -> None:
    host.environment = {"PATH": os.environ["PATH"]}
    ending, heard = host.run("pwd")
    assert (ending.exit_status, heard.stdout) == (0, b"/\n")


def test_a_login_in_latin_1_runs_scripts_in_utf_8(host: Host) -> None:
    host.environment["LC_ALL"] = "en_US.ISO-8859-1"
    _, heard = host.run("printf 'ž\\n'; echo $LC_ALL")
    assert heard.stdout == "ž\nen_US.ISO-8859-1\n".encode()


def test_a_shell_that_exports_everything_does_not_export_our_words(host: Host) -> None:
    host.shell = shutil.which("bash") or "bash"
    host.environment["SHELLOPTS"] = "allexport:nounset"
    ending, heard = host.run("env")
    assert ending.exit_status == 0
    assert b"nonce" not in heard.stdout
    assert b"folder=" not in heard.stdout


def test_a_start_up_file_that_eats_stdin_never_makes_a_line_of_the_script_run(host: Host) -> None:
    for eaten in ("read -r x; ", "head -c 3 >/dev/null; ", "head -c 5000 >/dev/null; "):
        host.inside = (eaten, "")
        host.start_timeout_s = 3
        trace = host.folder / "ran"
        with pytest.raises(NotStarted) as failure:
            host.run(f"touch {trace}\n" * 200)
        assert failure.value.code in ("no-start", "upload-cut", "start-timeout")
        assert host.left() == []


class CutChannel:
    """A channel whose connection breaks after so many bytes were sent."""

    def __init__(self, channel: LocalChannel, cut_at: int) -> None:
        self._channel = channel
        self._left = cut_at
        self.receive = channel.receive
        self.wake = channel.wake
        self.close = channel.close

    def send(self, chunk: bytes) -> int:
        if not self._left:
            raise ConnectionLost("connection-lost", "cut by the test")
        taken = self._channel.send(chunk[: self._left])
        self._left -= taken
        return taken


def test_an_upload_cut_anywhere_never_runs(host: Host) -> None:
    trace = host.folder.parent / "ran"
    content = f"touch {trace}\n".encode() * 4000
    whole = len(
        Wrapper(
            script=RenderedScript(content=content),
            greeting=": 0123456789abcdef;",
            nonce="0" * 32,
            name="f" * 32,
        ).encode()
    )
    start = whole - len(content) - 33
    positions = [0, 1, 18, 19, 200, start - 1, start, start + 1, start + 40]
    positions += [start + len(content) * part // 30 for part in range(1, 30)]
    positions += [whole - 100, whole - 34, whole - 33, whole - 32, whole - 2]
    settings = ConnectionSettings(provider="local", address="here")
    for cut_at in positions:
        conduct = Conduct(
            lambda request, *, pty, at=cut_at: CutChannel(host.open(request, pty=pty), at), settings
        )
        with closing(conduct), pytest.raises(NotStarted) as failure:
            conduct.run(RenderedScript(content=content), Heard(), Stop())
        assert failure.value.code == "connection-lost"
    host.provider.close()
    assert not trace.exists()
    assert host.left() == []


@pytest.mark.parametrize(
    ("words", "pty"),
    [({}, True), ({"flags": ("--pty",)}, False), ({"executable": "/opt/odd/sudo"}, False)],
)
def test_an_upload_that_a_terminal_damaged_never_runs(
    host: Host, shell: str, words: Mapping[str, Any], pty: bool
) -> None:
    wrapper = Wrapper(
        script=RenderedScript(content=b"touch a\n", become=Become(user="root", **words)),
        greeting=":",
        nonce="0" * 32,
        name=TOKEN,
        pty=pty,
    )
    done = subprocess.run(
        [*shell.split(), "-c", 'IFS= read -r line; eval "$line"'],
        input=wrapper.encode().replace(b"touch a", b"touch b"),
        capture_output=True,
        env=host.environment,
        timeout=20,
        check=False,
    )
    assert b"REFUSE upload-cut the script arrived damaged" in done.stdout
    assert host.left() == []


def lose(host: Host, **words: Any) -> Ending:
    """Run a script whose connection is lost as soon as it printed something."""

    class Losing(CutChannel):
        def __init__(self, channel: LocalChannel) -> None:
            super().__init__(channel, 1 << 30)
            self.receive = self._receive

        def _receive(self, timeout_s: float | None, *, room: bool = False) -> object:
            if heard.stdout:
                raise ConnectionLost("no-reply", "the host is silent")
            return self._channel.receive(timeout_s, room=room)

    heard = Heard()
    settings = ConnectionSettings(provider="local", address="here")
    conduct = Conduct(lambda request, *, pty: Losing(host.open(request, pty=pty)), settings)
    with closing(conduct):
        ending = conduct.run(RenderedScript(content=b"echo up; exec sleep 1009", **words), heard, Stop())
    host.provider.close()
    return ending


def test_a_lost_connection_after_the_start_is_an_unknown_end_and_stops_the_script(host: Host) -> None:
    ending = lose(host)
    assert (ending.code, ending.lost, ending.exit_status) == ("no-reply", "the host is silent", None)
    (folder,) = host.folder.iterdir()
    assert (folder / "exit_code").read_text() == "143\n"


def test_a_lost_connection_leaves_nothing_of_what_nobody_will_ask_about(host: Host, shell: str) -> None:
    host.shell = shell
    lose(host, transient=True)
    wait_until(lambda: not host.left(), what="the folder is gone")


def test_folders_forgotten_for_a_week_are_removed_and_younger_ones_are_not(host: Host) -> None:
    old, young, other = (host.folder / name for name in (".chargehand-old", ".chargehand-young", "other-old"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "script").touch()
    week = time.time() - 8 * 86400
    for folder in (old, other):
        os.utime(folder, (week, week))
    host.run("true", token="1" * 32)
    assert len(host.left()) == 3, "not all look"
    host.run("true", token="0" * 32)
    wait_until(lambda: not old.exists(), what="the old folder is removed")
    assert host.left() == [young.name, other.name]


TOKEN = "0123456789abcdef" * 2


@pytest.mark.parametrize("there", ["folder", "link", "dangling link", "file"])
def test_a_token_whose_folder_is_there_starts_nothing(host: Host, shell: str, there: str) -> None:
    """Whatever it is, and whichever of the folders it lies in: it is neither used nor removed."""
    host.shell = shell
    target = host.folder.parent / "target"
    target.mkdir(mode=0o777)
    found = host.folder / f".chargehand-{TOKEN}"
    if "link" in there:
        found.symlink_to(target if there == "link" else "nowhere")
    else:
        found.mkdir() if there == "folder" else found.touch()
    host.work_folders = (str(target),)
    with pytest.raises(NotStarted, match="started before") as failure:
        host.run(f"touch {host.folder.parent}/ran", token=TOKEN)
    assert failure.value.code == "already-there"
    assert host.left() == [found.name]
    assert list(target.iterdir()) == []
    assert not (host.folder.parent / "ran").exists()


def test_a_token_starts_again_when_its_folder_is_gone(host: Host, shell: str) -> None:
    host.shell = shell
    host.work_folders = (str(host.folder), f"{host.folder}/.")  # one folder by several names is one
    for _ in range(2):
        assert host.run("true", token=TOKEN)[0].exit_status == 0
    assert host.left() == []


def test_of_many_that_come_at_once_with_one_token_at_most_one_starts(host: Host, shell: str) -> None:
    """Those that cannot make it in the first folder go on to the next, and still find the others."""
    host.shell = shell
    ran = host.folder.parent / "ran"
    host.work_folders = ("~/a", "~/b")
    (host.folder / "a").mkdir()
    (host.folder / "b").mkdir()

    def start(_: int) -> str:
        try:
            host.run(f"echo up >>{ran}; sleep 1", settle=False, token=TOKEN)
        except NotStarted as failure:
            return failure.code
        return "started"

    with ThreadPoolExecutor(8) as pool:
        ends = Counter(pool.map(start, range(8)))
    assert set(ends) <= {"started", "already-there"}
    assert ends["started"] == len(ran.read_text().split() if ran.exists() else []) <= 1


def test_a_script_that_nobody_hears_start_never_starts_and_leaves_nothing(host: Host, shell: str) -> None:
    """The connection dies after the last byte of the script, before the wrapper says START."""

    host.shell = shell
    ran = host.folder.parent / "ran"
    wrapper = Wrapper(
        script=RenderedScript(content=f"touch {ran}\n".encode()), greeting=":", nonce="0" * 32, name=TOKEN
    )
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run(
        [*host.shell.split(), "-c", 'IFS= read -r line; eval "$line"'],
        input=wrapper.encode(),
        stdout=writer,
        stderr=writer,
        env=host.environment,
        timeout=20,
        check=False,
    )
    os.close(writer)
    assert not ran.exists()
    assert host.left() == []


MOUNTS = """
import ctypes, os, subprocess, sys
from pathlib import Path
from chargehand.local import LocalProvider
from chargehand.connection import ConnectionSettings
from chargehand.provider import NotStarted, Stop
from chargehand.script import RenderedScript

class Heard:
    def started(self): pass
    def output(self, stream, chunk): print(chunk.decode(), end="")

# Only now, with everything imported: the mounts may hide this interpreter.
if ctypes.CDLL(None, use_errno=True).unshare(0x20000) != 0:  # CLONE_NEWNS
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["sh", "-ec", sys.argv.pop(1)], check=True)

provider = LocalProvider()
session = provider.open(ConnectionSettings(provider="local", address="here"), Stop())
try:
    ending = session.run(RenderedScript(content=b'echo "$0"\\n#' + b"x" * int(sys.argv[1])), Heard(), Stop())
    session.settle()
    print(ending.exit_status)
except NotStarted as failure:
    print(failure.code, failure.reason)
session.close()
provider.close()
for folder in sys.argv[2:]:
    print("left", [path.name for path in Path(folder).glob(".chargehand-*")])
"""


READ_ONLY_HOME = "mount --bind /root /root; mount -o remount,bind,ro /root"


def mounted(
    mounts: str, size: int, folders: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> list[str]:
    """Run a script of `size` bytes on a machine whose file systems are arranged by `mounts`."""
    done = subprocess.run(
        [sys.executable, "-c", MOUNTS, mounts, str(size), *folders],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ) | {"TMPDIR": ""} | dict(environment or {}),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def as_sh(shell: str) -> str:
    """Put `shell` where /bin/sh is."""
    return f"mount --bind {os.path.realpath(shell.split(maxsplit=1)[0])} {os.path.realpath('/bin/sh')}"


@pytest.mark.root
@pytest.mark.parametrize("size", [100, 3_000])
def test_a_host_without_proc_is_enough(shell: str, size: int) -> None:
    said = mounted(
        f"{as_sh(shell)}; mount -t tmpfs none /proc; mount -t tmpfs none /var/tmp", size, ("/var/tmp",)
    )
    assert said[0].startswith("/var/tmp/.chargehand-")
    assert said[1:] == ["0", "left []"]


@pytest.mark.root
def test_folders_mounted_noexec_are_as_good_as_any() -> None:
    said = mounted(
        "for f in /var/tmp /tmp; do mount -t tmpfs -o noexec none $f; done", 100, ("/var/tmp", "/tmp")
    )
    assert said[0].startswith("/var/tmp/.chargehand-")
    assert said[1:] == ["0", "left []", "left []"]


@pytest.mark.root
@pytest.mark.parametrize("size", [100, 30_000, 3_000_000])
def test_a_full_folder_is_left_for_the_next_before_a_byte_is_read(size: int) -> None:
    full = "mount -t tmpfs -o size=16k none /var/tmp; head -c 16384 /dev/zero >/var/tmp/fill"
    said = mounted(full, size, ("/var/tmp",))
    assert said[0].startswith("/tmp/.chargehand-")
    assert said[1:] == ["0", "left []"]


@pytest.mark.root
@pytest.mark.parametrize("size", [100, 3_000])
def test_in_every_shell_what_is_full_is_left_for_the_next(shell: str, size: int) -> None:
    full = "mount -t tmpfs -o size=16k none /var/tmp; head -c 16384 /dev/zero >/var/tmp/fill || true"
    for fill in (full, f"{full}; truncate -s 12288 /var/tmp/fill"):
        said = mounted(f"{fill}\n{as_sh(shell)}", size, ("/var/tmp",))
        assert said[0].startswith("/tmp/.chargehand-")
        assert said[1:] == ["0", "left []"]


@pytest.mark.root
def test_without_an_inode_the_next_folder_is_tried() -> None:
    said = mounted("mount -t tmpfs -o nr_inodes=2 none /var/tmp; touch /var/tmp/x", 100)
    assert said[0].startswith("/tmp/.chargehand-")


@pytest.mark.root
def test_a_read_only_home_and_full_folders_are_told_and_nothing_starts() -> None:
    full = "mount -t tmpfs -o size=16k none $f; head -c 16384 /dev/zero >$f/fill || true"
    said = mounted(
        f"for f in /var/tmp /tmp /dev/shm; do {full}; done\n{READ_ONLY_HOME}",
        100,
        ("/var/tmp", "/tmp", "/dev/shm"),
    )
    assert said[0].startswith("no-space no room for 1")
    assert said[1:] == ["left []"] * 3


@pytest.mark.root
def test_without_any_folder_to_write_to_nothing_starts() -> None:
    said = mounted(
        "for f in /var/tmp /tmp /dev/shm; do mount -t tmpfs -o ro none $f; done\n" + READ_ONLY_HOME, 100
    )
    assert said[0].startswith("no-folder no folder to write to")
