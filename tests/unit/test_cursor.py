"""Places in lists as opaque text: what a page gave is understood, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fastcheck.errors import RecordError
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.fields import CURSOR_CHARACTERS_MAX, cursor_within
from fastcheck.wire.names import INTEGER_MAX, NAME_BYTES_MAX

FIRST = (False, 0, "")
names = some.text(
    some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=NAME_BYTES_MAX
)


@given(some.tuples(some.booleans(), some.integers(-1, INTEGER_MAX), names))
def test_a_place_comes_back_as_it_was(place: tuple[bool, int, str]) -> None:
    cursor = cursor_of(place)
    assert cursor is not None
    assert cursor.isascii()
    assert place_of(cursor, FIRST) == place
    assert [type(one) for one in place_of(cursor, FIRST)] == [bool, int, str]


def test_the_ends_of_a_list() -> None:
    assert cursor_of(None) is None
    assert place_of(None, FIRST) == FIRST


def test_a_place_of_two_long_names_fits_a_cursor() -> None:
    for letter in ("x", "\1", "ü", "\N{GRINNING FACE}"):
        name = letter * (NAME_BYTES_MAX // len(letter.encode()))
        cursor = cursor_of((INTEGER_MAX, name, name))
        assert cursor is not None
        assert cursor_within(cursor, "cursor") == cursor
        assert len(cursor) <= CURSOR_CHARACTERS_MAX
        assert place_of(cursor, (0, "", "")) == (INTEGER_MAX, name, name)


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "=", "!!!!", "ü", "k", "wA", "kwAA", "a" * 2_000, "kZGR" * 500,
        cursor_of((False, 0)), cursor_of((False, 0, "", 0)), cursor_of((0, 0, "")),
        cursor_of((False, True, "")),
        cursor_of((False, -2, "")), cursor_of((False, INTEGER_MAX + 1, "")), cursor_of((False, 0, "a\0b")),
    ],
)  # fmt: skip
def test_what_no_page_gave_is_refused(cursor: str) -> None:
    with pytest.raises(RecordError, match="an earlier page"):
        place_of(cursor, FIRST)


@given(some.text(max_size=60))
def test_whatever_comes_is_a_place_or_refused(cursor: str) -> None:
    try:
        place = place_of(cursor, FIRST)
    except RecordError:
        return
    assert [type(one) for one in place] == [bool, int, str]
