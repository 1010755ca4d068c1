"""How much the tests try: a fixed sample in some seconds, or with FASTCHECK_PROVE=1 as much as a proof needs.

`make test` shall say the same of the same code every time, so its examples are derived from the tests
themselves and none is remembered. `make prove` draws new ones, and many more."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

PROVE = os.environ.get("FASTCHECK_PROVE", "") not in ("", "0")
EXAMPLES = 100
"""Of a property that asks for no number."""
EXAMPLES_TIMES = 20
"""As many more in a proof."""

# No deadline: other processes share the machine, and a slow example says nothing about the code.
settings.register_profile("test", derandomize=True, database=None, deadline=None, max_examples=EXAMPLES)
settings.register_profile("prove", deadline=None, max_examples=EXAMPLES * EXAMPLES_TIMES, print_blob=True)


def load_profile() -> None:
    """Before any property is defined."""
    settings.load_profile("prove" if PROVE else "test")


def examples(count: int, **more: Any) -> settings:
    """Hypothesis's settings for a property of which one example costs much."""
    return settings(max_examples=sample(count, count * EXAMPLES_TIMES), **more)


def sample(few: int, many: int) -> int:
    """How many seeds, kills or rounds."""
    return many if PROVE else few
