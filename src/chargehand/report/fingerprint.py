"""Fingerprint: by what a problem is known again in the next report, when its line moved."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from chargehand.errors import Problem
from chargehand.expression import expression

_POSITION = expression(r"(?<=\bline )\d+|(?<=\bcolumn )\d+")


def fingerprints(problems: Sequence[Problem]) -> list[str]:
    """A fingerprint for each problem: of its rule, file, line of text and message, no two the same.

    Where it stands does not count, so what is inserted above changes nothing; equal problems of a file are
    told apart by their order.
    """
    seen = Counter[str]()
    found = []
    for problem in problems:
        place = problem.place
        file, source = (place.file, place.source or "") if place else ("", "")
        told = "\0".join((problem.rule, file, source.strip(), _POSITION.sub("", problem.message)))
        seen[told] += 1
        found.append(hashlib.sha256(f"{told}\0{seen[told]}".encode("utf-8", "backslashreplace")).hexdigest())
    return found
