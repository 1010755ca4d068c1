"""Records and frames: what goes in comes out, and what does not belong is refused."""

from __future__ import annotations

import contextlib
import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.amounts import AMOUNT_MAX, credits, units
from fastcheck.host.framing import FRAME_BYTES_MAX, frame, read_frame
from fastcheck.wire.record import OFF, ON, UNLIMITED, CustomerRecord, Trial, pack_record, unpack_record

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
MS = st.one_of(st.none(), st.integers(0, 2**45))
SETTINGS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([OFF, ON, UNLIMITED]),
    st.tuples(st.just(3), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(4), TEXT),
    st.tuples(st.just(5), st.booleans()),
)
RECORDS = st.builds(
    CustomerRecord,
    st.integers(1, 2**31),
    TEXT,
    st.booleans(),
    st.one_of(st.none(), TEXT),
    st.one_of(st.none(), st.integers(1, 100)),
    st.integers(0, 2**45),
    st.lists(st.tuples(TEXT, st.integers(1, 9), MS), max_size=3).map(tuple),
    st.lists(st.tuples(TEXT, SETTINGS, MS, MS), max_size=3).map(tuple),
    st.lists(TEXT, max_size=3).map(tuple),
    st.one_of(
        st.none(), st.builds(Trial, TEXT, st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 2**45))
    ),
)


@given(RECORDS)
def test_a_record_comes_back(record: CustomerRecord) -> None:
    assert unpack_record(pack_record(record)) == record


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with contextlib.suppress(errors.ProtocolError):
        unpack_record(data)


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 7))
def test_frames_come_back_however_they_are_cut(bodies: list[bytes], step: int) -> None:
    stream = io.BytesIO(b"".join(map(frame, bodies)))
    read = lambda size: stream.read(min(size, step))  # noqa: E731
    assert [read_frame(read) for _ in bodies] == bodies
    assert read_frame(read) is None


def test_bad_frames_are_refused() -> None:
    for data in (b"\0\0", b"\0\0\0\5abc", b"\xff\xff\xff\xff"):
        with pytest.raises(errors.ProtocolError):
            read_frame(io.BytesIO(data).read)
    with pytest.raises(errors.ProtocolError):
        frame(bytes(FRAME_BYTES_MAX + 1))


@given(st.integers(1, AMOUNT_MAX), st.integers(0, 12))
def test_units_and_credits_are_inverse(amount: int, scale: int) -> None:
    shown = credits(amount, scale)
    assert units(shown, scale) == amount
    assert isinstance(shown, Decimal) == bool(amount % 10**scale)


def test_the_scale_that_would_do_is_named() -> None:
    with pytest.raises(errors.AmountError, match="needs scale 7"):
        units(Decimal("0.0000075"), 6)


def test_every_error_is_found_by_its_name() -> None:
    assert errors.by_name("Conflict") is errors.Conflict
    assert errors.by_name("os") is errors.FastcheckError
    for name, one in vars(errors).items():
        if isinstance(one, type):
            assert issubclass(one, errors.FastcheckError)
            assert name in (errors.__doc__ or ""), f"{name} is missing from the tree"
