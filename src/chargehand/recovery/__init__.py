"""Recovery: what a dead runner left is finished, by what its hosts kept.

`errands` go to hosts, an `inquest` learns what became of each share, and `resume` runs what never started.
"""

from chargehand.recovery.errands import Errands
from chargehand.recovery.inquest import Recovered, is_left, is_open, recover
from chargehand.recovery.resume import (
    check_resumable,
    check_scripts,
    is_over,
    result_of,
    resume,
    take_over,
)

__all__ = [
    "Errands",
    "Recovered",
    "check_resumable",
    "check_scripts",
    "is_left",
    "is_open",
    "is_over",
    "recover",
    "result_of",
    "resume",
    "take_over",
]
