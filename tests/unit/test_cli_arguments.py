"""What operators type and read: instants, amounts, add-ons, lists in pages."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.amounts import credits as in_credits
from fastcheck.cli import arguments, instants, screen
from fastcheck.cli.pages import walk
from fastcheck.clock import INSTANT_MS_MAX, instant_ms
from fastcheck.wire.answers import Page

INSTANTS_MS = st.integers(0, INSTANT_MS_MAX - 1)
LENGTHS = st.from_regex(instants.LENGTH, fullmatch=True)


@given(INSTANTS_MS)
def test_what_programs_are_told_is_taken_back_to_the_millisecond(at: int) -> None:
    assert instant_ms(instants.instant(instants.iso(at)), "at") == at


@given(INSTANTS_MS)
def test_what_people_are_told_is_taken_back_to_the_second(at: int) -> None:
    told = instants.told(at)
    whole = instants.instant(told if len(told) == 10 else f"{told} UTC")
    assert instant_ms(whole, "at") == at // 1_000 * 1_000


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 12))
def test_amounts_are_told_exactly(units: int, scale: int) -> None:
    amount = in_credits(units, scale)
    told = screen.credits_text(amount)
    assert Decimal(told.replace(",", "")) * 10**scale == units
    if units >= 0:
        assert arguments.credits(told.replace(",", "_")) == amount


@given(st.text())
def test_printed_text_is_one_line_and_steers_nothing(text: str) -> None:
    assert screen.printable(text).isprintable()


@given(st.lists(st.integers()), st.integers(1, 7))
def test_a_walk_finds_every_item_once_in_order(items: list[int], size: int) -> None:
    def page(cursor: str | None, limit: int) -> Page[int]:
        start = int(cursor or 0)
        end = start + min(size, limit)
        return Page(tuple(items[start:end]), str(end) if end < len(items) else None)

    assert list(walk(page)) == items


@given(st.lists(st.one_of(st.sampled_from(["--since", "--until=1", "acme", "-h"]), LENGTHS)))
def test_joining_lengths_to_their_options_loses_nothing(argv: list[str]) -> None:
    assert (
        "=".join(instants.joined(argv)).replace("=", " ").split() == " ".join(argv).replace("=", " ").split()
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=timezone.utc)),
        ("2026-02-01T09:30:00Z", datetime(2026, 2, 1, 9, 30, tzinfo=timezone.utc)),
        ("2026-02-01 09:30:00 UTC", datetime(2026, 2, 1, 9, 30, tzinfo=timezone.utc)),
        ("2026-02-01T09:30:00+02:00", datetime(2026, 2, 1, 7, 30, tzinfo=timezone.utc)),
    ],
)
def test_instants(text: str, at: datetime) -> None:
    assert instants.instant(text) == at


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "7d", "+7", "+1x", "+-1d", "2026-13-01", "+999999y", "-999999y", "+999999w" * 2]
)
def test_what_is_no_instant_is_told_with_what_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(instants.HELP)):
        instants.instant(text)


def test_a_time_without_a_zone_is_refused_with_the_one_to_add() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 2026-02-01T09:30:00Z for UTC"):
        instants.instant("2026-02-01T09:30:00")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("+7d", timedelta(days=7)),
        ("-2w", timedelta(weeks=-2)),
        ("+90m", timedelta(minutes=90)),
        ("-12h", timedelta(hours=-12)),
        ("+30s", timedelta(seconds=30)),
    ],
)
def test_lengths_are_counted_from_now(text: str, length: timedelta) -> None:
    before = datetime.now(timezone.utc)
    at = instants.instant(text)
    after = datetime.now(timezone.utc)
    assert before + length <= at <= after + length


@pytest.mark.parametrize(
    ("now", "sign", "count", "unit", "then"),
    [
        ((2026, 1, 31), "+", "1", "mo", (2026, 2, 28)),
        ((2024, 2, 29), "+", "1", "y", (2025, 2, 28)),
        ((2026, 1, 15), "-", "1", "mo", (2025, 12, 15)),
        ((2026, 12, 31), "+", "14", "mo", (2028, 2, 29)),
    ],
)
def test_months_and_years_go_by_the_calendar(
    now: tuple[int, int, int], sign: str, count: str, unit: str, then: tuple[int, int, int]
) -> None:
    assert instants._moved(datetime(*now, tzinfo=timezone.utc), sign, count, unit) == datetime(
        *then, tzinfo=timezone.utc
    )


def test_a_length_that_goes_back_may_follow_its_option() -> None:
    assert instants.joined(["usage", "list", "--since", "-7d"]) == ["usage", "list", "--since=-7d"]
    assert instants.joined(["grant", "--priority", "-7"]) == ["grant", "--priority", "-7"]


@pytest.mark.parametrize("text", ["", "-1", "1,000", "1e3", "1.", ".5", "1__0", "٣", "nan", "1" * 41])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not an amount such as"):
        arguments.credits(text)


def test_amounts_that_mean_the_same_are_the_same() -> None:
    assert arguments.credits("50_000.00") == 50_000
    assert isinstance(arguments.credits("50_000.00"), int)
    assert str(arguments.credits("12.50")) == "12.5"


def test_addons() -> None:
    until = datetime(2026, 12, 31, tzinfo=timezone.utc)
    assert arguments.addon("seats_pack") == ("seats_pack", 1, None)
    assert arguments.addon("seats_pack=2") == ("seats_pack", 2, None)
    assert arguments.addon("seats_pack=2@2026-12-31") == ("seats_pack", 2, until)
    assert arguments.addon("seats_pack@2026-12-31") == ("seats_pack", 1, until)
    for text in ("", "=2", "seats_pack=", "seats_pack=0", "seats_pack@never"):
        with pytest.raises(argparse.ArgumentTypeError):
            arguments.addon(text)
