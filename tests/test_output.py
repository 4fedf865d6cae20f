"""Captured output: exact to the byte, bounded in memory, honest about what is missing."""

import hashlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.runner.output import Capture
from laws import tried

SPOOL_IN_64_KIB = """
import resource, sys
from pathlib import Path
from chargehand.runner.output import Capture
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
with Capture(folder, head_bytes=10, tail_bytes=10) as capture:
    for _ in range(2000):
        capture.write(b"x" * 997)
    output = capture.finish()
assert output.path is None and output.size_bytes == 1_994_000 and not list(folder.iterdir())
assert "too large" in capture.trouble, capture.trouble
"""


@tried(60)
@given(chunks=st.lists(st.binary(max_size=40), max_size=30), head=st.integers(1, 50), tail=st.integers(1, 50))
def test_head_tail_size_and_hash_are_those_of_the_whole_stream(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], head: int, tail: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    with Capture(folder, head_bytes=head, tail_bytes=tail) as capture:
        for chunk in chunks:
            capture.write(chunk)
        output = capture.finish()
    whole = b"".join(chunks)
    assert output.head == whole[:head]
    assert output.tail == whole[head:][-tail:]
    assert output.size_bytes == len(whole)
    assert output.sha256 == hashlib.sha256(whole).hexdigest()
    if len(whole) > head:
        assert output.path is not None
        assert output.path.read_bytes() == whole
    else:
        assert output.path is None
        assert not list(folder.iterdir())


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Capture(tmp_path, name="web1-stdout", head_bytes=1) as capture:
            capture.write(b"secret")
            output = capture.finish()
    finally:
        os.umask(before)
    assert output.path is not None
    assert output.path.name.startswith("web1-stdout-")
    assert output.path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_gone_costs_the_middle_of_the_output_and_says_so(tmp_path: Path) -> None:
    with Capture(tmp_path / "gone", head_bytes=1, tail_bytes=1) as capture:
        capture.write(b"abc")
        output = capture.finish()
    assert (output.head, output.tail, output.size_bytes, output.path) == (b"a", b"c", 3, None)
    assert "No such file" in capture.trouble


def test_a_full_disk_costs_the_middle_of_the_output_and_says_so(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SPOOL_IN_64_KIB, str(tmp_path)], check=True, timeout=30)


def test_without_a_folder_the_middle_is_dropped_and_counted() -> None:
    capture = Capture(None, head_bytes=4, tail_bytes=4)
    capture.write(b"0123456789")
    output = capture.finish()
    assert (output.head, output.tail, output.elided_bytes) == (b"0123", b"6789", 2)
    assert capture.trouble


def test_two_hundred_megabytes_pass_quickly_in_bounded_memory(tmp_path: Path) -> None:
    chunk = os.urandom(1 << 16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with Capture(tmp_path) as capture:
        for _ in range(3200):
            capture.write(chunk)
        output = capture.finish()
    spent = time.process_time() - began
    assert output.path is not None
    output.path.unlink()
    assert output.size_bytes == 3200 * (1 << 16)
    assert spent < 4.2, f"{output.size_bytes / spent / 1e6:.0f} MB/s, at least 50 wanted"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
