"""What one command costs: wall time, processor time and memory of its whole tree of processes.

Run as a small program of its own (``python -I -S measuring.py WISH``), so that no memory of a large parent is
counted, and so that what a command leaves behind - a master of ssh's ControlPersist - is counted too: orphans
come to this program. Processor time is that of all children, the dead by their rusage, the living by /proc.
Memory is the largest process by its rusage, and the largest sum seen of every process's own share (PSS),
looked at so seldom that looking takes at most a twentieth of one core.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure what the wish, a JSON object, describes; the report is written to its ``report``."""
    with open(sys.argv[1]) as stream:  # noqa: PTH123 - pathlib would be a tenth of this program's memory
        wish = json.load(stream)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if wish["before"]:
        await_end(start(wish["before"], wish, sys.stderr), wish)
    report = measure(wish)
    end_the_rest()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    report["largest_mib"] = usage.ru_maxrss / 1024
    with open(wish["report"], "w") as stream:  # noqa: PTH123
        json.dump(report, stream)


def measure(wish: dict) -> dict:  # type: ignore[type-arg]
    """Run the command to its end, or to its deadline."""
    watch = Watch()
    begun_cpu, begun = tree_cpu(), time.perf_counter()
    program = start(wish["command"], wish, None)
    watch.start()
    code = await_end(program, wish)
    wall, cpu = time.perf_counter() - begun, tree_cpu() - begun_cpu
    watch.ended.set()
    watch.join()
    return {"code": code, "wall_s": wall, "cpu_s": cpu, "tree_mib": watch.most_kib / 1024}


def start(words: list, wish: dict, stdout: object) -> subprocess.Popen:  # type: ignore[type-arg]
    """Start a command that does not outlive this program; called while there is one thread."""
    return subprocess.Popen(
        words,
        stdin=open(wish["stdin"], "rb") if wish["stdin"] else subprocess.DEVNULL,  # noqa: PTH123
        stdout=stdout,  # type: ignore[call-overload]
        cwd=wish["folder"],
        env=wish["environ"],
        preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509
    )


def await_end(program: subprocess.Popen, wish: dict) -> int | None:  # type: ignore[type-arg]
    """The exit code; None when it took too long and was ended.

    Not by a wait with a timeout, which looks twenty times a second.
    """
    ended = []
    deadline = threading.Timer(wish["timeout_s"], lambda: ended.append(program.kill()))
    deadline.start()
    code = program.wait()
    deadline.cancel()
    return None if ended else code


def end_the_rest() -> None:
    """End what the command left behind, and wait for it, so that it is counted."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)


class Watch(threading.Thread):
    """Looks at the memory of all descendants from time to time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.most_kib = 0

    def run(self) -> None:
        """Until it ended."""
        pause_s = 0.05
        while not self.ended.wait(pause_s):
            begun = time.thread_time()
            self.most_kib = max(self.most_kib, sum(map(own_share_kib, descendants(os.getpid()))))
            pause_s = max(0.05, 20 * (time.thread_time() - begun))


def tree_cpu() -> float:
    """Seconds of processor time of all children, dead and alive."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime + sum(map(cpu_of, descendants(os.getpid())))


def cpu_of(pid: int) -> float:
    """Of one living process and its children that it waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * TICK_S


def own_share_kib(pid: int) -> int:
    """What one process takes, with its part of what it shares."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as stream:  # noqa: PTH123
            return next((int(line.split()[1]) for line in stream if line.startswith(b"Pss:")), 0)
    except OSError:
        return 0


def descendants(pid: int) -> list:  # type: ignore[type-arg]
    """All processes below one."""
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as stream:  # noqa: PTH123
                children = [int(word) for word in stream.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


if __name__ == "__main__":
    main()
