"""How often a law is tried: a few examples in every run, 25 times as many with HYPOTHESIS_PROFILE=nightly."""

import os
from typing import Any

from hypothesis import settings

_TIMES = 25 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 1

settings.register_profile("here", max_examples=100 * _TIMES, deadline=None)
settings.load_profile("here")


def tried(number: int, **more: Any) -> settings:
    """With so many examples, each of which may take its time."""
    return settings(**{"max_examples": number * _TIMES, "deadline": None} | more)
