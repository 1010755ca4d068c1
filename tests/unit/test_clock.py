"""Instants: ms as integers, whatever the year."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from fastcheck.clock import INSTANT_MS_MAX, at_utc, instant_ms
from fastcheck.errors import InstantError


@given(some.integers(0, INSTANT_MS_MAX - 1))
@example(INSTANT_MS_MAX - 1)
@example(253_402_300_799_001)
def test_an_instant_survives_being_shown(ms: int) -> None:
    shown = at_utc(ms)
    assert instant_ms(shown, "at") == ms
    assert shown.microsecond == ms % 1_000 * 1_000


def test_the_last_instant_is_the_last_ms_of_9999() -> None:
    assert at_utc(INSTANT_MS_MAX - 1) == datetime(9999, 12, 31, 23, 59, 59, 999_000, timezone.utc)
    with pytest.raises(InstantError):
        instant_ms(INSTANT_MS_MAX, "at")
