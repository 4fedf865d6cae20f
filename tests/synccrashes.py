"""A campaign of crashes: `chargehand sync` killed at any instant, and gone on with by the next one.

A round is one push: the sync that takes it over is killed, and then the place is held against the laws -
what is in force is the commit of before or the new one, and whole; after one more sync and a tick it is the
new one, and the job that the push starts ran once.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from followed import Followed, following
from repository import begin


class Campaign:
    """Rounds on one place.

    Args:
        followed: The place.
        seed: With the number of a round, decides the instant of its kill.

    Attributes:
        kills: How many syncs did not come to their end.
        left: How often what was in force after a kill was the old commit, and how often the new one.
    """

    def __init__(self, followed: Followed, *, seed: int = 0) -> None:
        self.followed = followed
        self.seed = seed
        self.kills = 0
        self.left: Counter[str] = Counter()
        followed.pushed("deploy", version=0)
        self._old = followed.origin.push()
        self._sync(60)
        assert followed.in_force() == self._old
        followed.pushed("deploy", version=-1)
        self._old = followed.origin.push()
        self._length_s = self._sync(60)
        assert followed.chargehand("tick").code == 0

    def crash(self, number: int) -> list[str]:
        """One round; what was violated."""
        followed, chance = self.followed, random.Random(f"{self.seed}:{number}")
        old = self._old
        followed.pushed("deploy", version=number)
        followed.origin.write("playbooks/templates/note.txt", f"{number}\n" * chance.randint(1, 2000))
        new = self._old = followed.origin.push()
        self._sync(chance.uniform(0, self._length_s * 1.1))
        violations = [f"{number}: {each}" for each in self._standing(old, new)]
        after, tick = followed.chargehand("sync"), followed.chargehand("tick")
        if (after.code, tick.code) != (0, 0):
            violations.append(f"{number}: {after} {tick}")
        if followed.in_force() != new:
            violations.append(f"{number}: {followed.in_force()} is in force and not {new}")
        violations += [f"{number}: {each}" for each in self._files(new)]
        wanted = sorted(f"deploy-{each}" for each in (-1, *range(1, number + 1)))
        if followed.ran() != wanted:
            violations.append(f"{number}: these ran: {followed.ran()}")
        return violations

    def _sync(self, after_s: float) -> float:
        """Begin a sync, and kill it after so many seconds, if it still goes on; how long it did."""
        begun = time.monotonic()
        with Path(os.devnull).open("r+b") as nothing:
            program = begin(["sync"], self.followed.root, self.followed.environ, nothing, nothing, nothing)
        try:
            code = program.wait(after_s)
            assert code == 0, f"a sync that nobody killed ended with {code}"
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            self.kills += 1
        return time.monotonic() - begun

    def _standing(self, old: str, new: str) -> Iterator[str]:
        found = self.followed.in_force()
        self.left["old" if found == old else "new"] += 1
        if found not in (old, new):
            yield f"{found} is in force, which is neither {old} nor {new}"
        else:
            yield from self._files(str(found))

    def _files(self, commit: str) -> Iterator[str]:
        """What differs between the files in force and those of the commit."""
        origin, root = self.followed.origin, self.followed.root / ".chargehand" / "git" / commit
        listed = origin("ls-tree", "-r", "--name-only", commit).splitlines()
        found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        if found != sorted(listed):
            yield f"{commit} has {listed}, and here are {found}"
            return
        for name in listed:
            if (root / name).read_text().strip() != origin("show", f"{commit}:{name}"):
                yield f"{name} of {commit} is another file"


def main() -> int:
    """Make so many rounds, and print what was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    wish = parser.parse_args()
    violations: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sync-crashes-") as folder, following(Path(folder)) as followed:
        campaign = Campaign(followed, seed=wish.seed)
        for number in range(1, wish.rounds + 1):
            found = campaign.crash(number)
            sys.stdout.write("".join(f"{each}\n" for each in found))
            sys.stdout.flush()
            violations += found
    sys.stdout.write(
        f"seed {wish.seed}: {wish.rounds} rounds, {campaign.kills} killed, after a kill or an end "
        f"{campaign.left['old']} old and {campaign.left['new']} new, {len(violations)} violations\n"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
