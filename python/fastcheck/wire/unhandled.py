"""The end of a `match` that must know every case."""

from __future__ import annotations

from typing import NoReturn


def unhandled(left: NoReturn) -> NoReturn:
    """Where a case is left over, mypy refuses the call."""
    raise AssertionError(f"nothing is done with {left!r:.80}")
