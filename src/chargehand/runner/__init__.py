"""The runner: scripts on hosts - in order, at most so many at once, and stopped when told to.

A run is a `line` of hosts waiting for their turn, a `crew` of threads that pays each host a `visit`, a
`watch` that captures what it says, a `tally` of results and a `herald` that tells the observers. Runs that
follow each other share a `stage`.
"""

from chargehand.runner.runner import Runner
from chargehand.runner.stage import Stage

__all__ = ["Runner", "Stage"]
