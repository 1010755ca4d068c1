"""The ring of encoded changes."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import CLIENT, Protocol

from fastcheck.errors import LedgerError, ProtocolError
from fastcheck.hub.stream.ring import RUN_BYTES_MAX, RUNS_KEPT, CatalogText, Ring, joined, messages_of
from fastcheck.wire.frames import (
    HUB_MESSAGE_BYTES_MAX,
    PIECE_BYTES_MAX,
    RECORDS_BYTES_MAX,
    CatalogPart,
    Commit,
    FromHub,
    Records,
    decode,
)
from fastcheck.wire.packing import pack
from rig.stream_ledger import change, record


def frames_of(ready: bytes) -> list[list[FromHub]]:
    """The frames of each message in bytes that are ready for a socket."""
    client = Protocol(CLIENT, max_size=HUB_MESSAGE_BYTES_MAX)
    client.receive_data(ready)
    assert client.parser_exc is None
    found = client.events_received()
    return [decode(bytes(one.data), from_hub=True) for one in found if isinstance(one, WebSocketFrame)]


def a_ring(**bounds: int) -> Ring:
    ring = Ring(**bounds)
    ring.begin(77, 10, 10_000, CatalogText("c.yaml", b"one"))
    return ring


def test_a_change_is_its_records_and_its_commit_in_one_message() -> None:
    ring, body = a_ring(), record(1)
    ring.append(change(11, body))
    run = ring.after(10)
    assert run is not None
    assert frames_of(run.data) == [[Records(body), Commit(77, 11, 11_000, change(11).at)]]
    assert (run.seq, run.digest) == (11, 11_000)


def test_a_change_without_records_is_its_commit_alone() -> None:
    [message] = messages_of(77, change(5))
    assert decode(message, from_hub=True) == [Commit(77, 5, 5_000, change(5).at)]


def test_changes_in_a_row_share_a_message_and_the_run_is_made_once() -> None:
    ring = a_ring()
    for seq in range(11, 21):
        ring.append(change(seq, record(seq)))
    run = ring.after(12)
    assert run is not None
    [frames] = frames_of(run.data)
    assert [one.seq for one in frames if isinstance(one, Commit)] == list(range(13, 21))
    assert ring.after(12) is run


def test_a_run_that_ended_at_the_last_change_is_longer_once_another_came() -> None:
    ring = a_ring()
    for seq in (11, 12):
        ring.append(change(seq, record(seq)))
    first = ring.after(10)
    ring.append(change(13))
    second = ring.after(10)
    assert first is not None
    assert second is not None
    assert (first.seq, second.seq) == (12, 13)


def test_a_run_is_bounded_but_holds_one_change_at_least() -> None:
    ring, large = a_ring(), record(1, size=RUN_BYTES_MAX // 2 + 1_000)
    for seq in (11, 12, 13):
        ring.append(change(seq, large))
    run = ring.after(10)
    assert run is not None
    assert run.seq == 11
    ring.append(change(14, record(2, size=RUN_BYTES_MAX * 2)))
    run = ring.after(13)
    assert run is not None
    assert run.seq == 14


def test_runs_that_are_kept_are_few() -> None:
    ring = a_ring()
    for seq in range(11, 20 + RUNS_KEPT):
        ring.append(change(seq, record(seq, size=RUN_BYTES_MAX)))
    first = ring.after(10)
    for seq in range(11, 11 + RUNS_KEPT):
        ring.after(seq)
    again = ring.after(10)
    assert again == first
    assert again is not first


def test_the_oldest_fall_off_by_bytes_and_by_number() -> None:
    by_number = a_ring(changes_max=3)
    by_bytes = a_ring(bytes_max=3_000)
    for seq in range(11, 21):
        by_number.append(change(seq, record(seq)))
        by_bytes.append(change(seq, record(seq, size=900)))
    assert (by_number.first, by_number.seq) == (17, 20)
    assert by_bytes.first == 15
    assert by_bytes.bytes <= 3_000
    for ring in (by_number, by_bytes):
        assert ring.after(ring.first - 1) is None
        assert ring.after(ring.first) is not None
        assert ring.digest_at(ring.first) == ring.first * 1_000
        assert ring.digest_at(ring.first - 1) is None
        assert ring.bytes_since(ring.first - 1) is None
        assert ring.bytes_since(ring.first) == ring.bytes
        assert ring.bytes_since(20) == 0
    assert by_number.bytes_since(19) == len(messages_of(77, change(20, record(20)))[0])


def test_a_change_larger_than_the_ring_leaves_it_empty_and_in_place() -> None:
    ring = a_ring(bytes_max=1_000)
    ring.append(change(11, record(1, size=5_000)))
    assert (ring.first, ring.seq, ring.bytes, ring.digest_at(11)) == (11, 11, 0, 11_000)


def test_a_gap_and_a_repetition_are_refused_and_change_nothing() -> None:
    ring = a_ring()
    for seq in (10, 12):
        with pytest.raises(LedgerError, match="10"):
            ring.append(change(seq))
    assert ring.seq == 10


def test_a_catalog_travels_in_parts_and_is_in_force_from_its_change_on() -> None:
    ring, source = a_ring(), bytes(range(256)) * (PIECE_BYTES_MAX // 256) + b"the rest"
    assert decode(b"".join(ring.catalog_frames()), from_hub=True) == [CatalogPart("c.yaml", 3, 0, b"one")]
    ring.append(change(11, record(1)))
    ring.append(change(12, pack(["d.yaml", source]), "catalog"))
    ring.append(change(13, record(2)))
    assert ring.catalog == CatalogText("d.yaml", source)
    assert ring.catalog_frames() is ring.catalog_frames()
    messages = [
        message for seq in (10, 11, 12) if (run := ring.after(seq)) for message in frames_of(run.data)
    ]
    frames = [frame for message in messages for frame in message]
    parts = [one for one in frames if isinstance(one, CatalogPart)]
    assert b"".join(one.data for one in parts) == source
    assert [(one.offset, one.size) for one in parts] == [(0, len(source)), (PIECE_BYTES_MAX, len(source))]
    assert isinstance(frames[frames.index(parts[-1]) + 1], Commit)


def test_a_ring_without_a_catalog_has_no_frames_of_one() -> None:
    ring = Ring()
    assert ring.epoch == 0
    assert ring.catalog is None
    assert ring.catalog_frames() == []


@pytest.mark.parametrize("body", [pack(["d.yaml", "text"]), pack([1, b""]), pack(["d.yaml"]), b"\xc1"])
def test_a_catalog_that_is_none_is_refused(body: bytes) -> None:
    ring = a_ring()
    with pytest.raises(ProtocolError):
        ring.append(change(11, body, "catalog"))
    assert (ring.seq, ring.catalog) == (10, CatalogText("c.yaml", b"one"))


def test_many_records_are_cut_between_records() -> None:
    one = record(1, size=100_000)
    body = one * (RECORDS_BYTES_MAX // len(one) * 2 + 1)
    messages = messages_of(77, change(1, body))
    assert len(messages) > 2
    frames = [frame for message in messages for frame in decode(message, from_hub=True)]
    records = [frame.data for frame in frames if isinstance(frame, Records)]
    assert b"".join(records) == body
    assert all(len(part) % len(one) == 0 for part in records)
    assert isinstance(frames[-1], Commit)
    assert sum(isinstance(frame, Commit) for frame in frames) == 1


@pytest.mark.parametrize("rest", [b"\x92", b"\xc1"])
def test_records_that_end_inside_one_are_refused(rest: bytes) -> None:
    body = record(1, size=100_000) * 50 + rest
    assert len(body) > RECORDS_BYTES_MAX
    with pytest.raises(ProtocolError, match="inside a record"):
        messages_of(77, change(1, body))


@given(st.lists(st.integers(0, 3), max_size=12))
def test_changes_of_one_part_and_of_several_keep_their_order(kinds: list[int]) -> None:
    packer = msgpack.Packer()
    changes = [
        tuple(packer.pack([1, 200, seq, part]) for part in range(kind or 1)) for seq, kind in enumerate(kinds)
    ]
    client = Protocol(CLIENT)
    client.receive_data(joined(changes))
    payload = b"".join(one.data for one in client.events_received() if isinstance(one, WebSocketFrame))
    assert payload == b"".join(part for parts in changes for part in parts)


def test_beginning_anew_forgets_everything() -> None:
    ring = a_ring()
    ring.append(change(11, record(1)))
    ring.begin(78, 3, 4, None)
    assert (ring.epoch, ring.seq, ring.first, ring.digest, ring.bytes) == (78, 3, 3, 4, 0)
    assert ring.digest_at(11) is None
    assert ring.bytes_since(3) == 0
