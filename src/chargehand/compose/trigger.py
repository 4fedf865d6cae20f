"""What happens in git that starts a job."""

from functools import partial

from chargehand.compose.findings import Findings
from chargehand.push import Push, check_pattern

_PUSH = ("on", "push")


def compose_push(findings: Findings) -> Push | None:
    """Which pushes start the job; none when it does not say, or says it in no valid way."""
    if not findings.job.has(*_PUSH):
        return None
    return Push(branches=_patterns(findings, "branches"), paths=_patterns(findings, "paths"))


def _patterns(findings: Findings, key: str) -> tuple[str, ...] | None:
    if not findings.job.has(*_PUSH, key):
        return None
    patterns = []
    for number, pattern in enumerate(findings.job.items(*_PUSH, key)):
        if isinstance(pattern, str):
            findings.attempt(partial(check_pattern, pattern, first=not number), *_PUSH, key, number)
            patterns.append(pattern)
    return tuple(patterns)
