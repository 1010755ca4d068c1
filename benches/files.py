"""Open files: each simulated host takes one here and one at the hub."""

from __future__ import annotations

import resource


def allow_many() -> int:
    """As many as the system lets this process have; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
