"""The server's WebSocket reader and writer, against the library's own frames."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from fastcheck.hub.stream.websocket import (
    NO_CODE,
    PROTOCOL_ERROR,
    TOO_BIG,
    UNSUPPORTED,
    Close,
    Event,
    Message,
    Ping,
    Reader,
    Violation,
    binary,
    close,
    pong,
)

BYTES_MAX = 70_000


def framed(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def in_parts(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(0, 2_000), max_size=20))
def test_messages_come_out_whole_wherever_the_stream_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    reader = Reader(BYTES_MAX)
    stream = b"".join(framed(Opcode.BINARY, one) for one in messages)
    events: list[Event] = []
    for part in in_parts(stream, cuts):
        events += reader.feed(part)
    assert events == [Message(one) for one in messages]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, BYTES_MAX])
def test_every_form_of_a_length_is_read_and_written(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    stream = framed(Opcode.BINARY, payload)
    reader = Reader(BYTES_MAX)
    events = [event for at in range(0, len(stream), 7_000) for event in reader.feed(stream[at : at + 7_000])]
    assert events == [Message(payload)]
    client = Protocol(CLIENT, max_size=BYTES_MAX)
    client.receive_data(binary([payload[: size // 2], payload[size // 2 :]]))
    [frame] = client.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.data) == (Opcode.BINARY, payload)


@pytest.mark.parametrize("size", [300, 70_000])
def test_a_header_that_is_cut_waits_for_its_rest(size: int) -> None:
    stream = framed(Opcode.BINARY, bytes(size))
    reader = Reader(BYTES_MAX)
    events = [event for byte in stream[:20] for event in reader.feed(bytes([byte]))]
    assert events == []
    assert reader.feed(stream[20:]) == [Message(bytes(size))]


def test_fragments_come_out_as_one_message_with_a_ping_in_between() -> None:
    reader = Reader(BYTES_MAX)
    events = reader.feed(
        framed(Opcode.BINARY, b"one ", fin=False)
        + framed(Opcode.CONT, b"and ", fin=False)
        + framed(Opcode.PING, b"there?")
        + framed(Opcode.PONG, b"unasked")
        + framed(Opcode.CONT, b"two")
    )
    assert events == [Ping(b"there?"), Message(b"one and two")]


def test_nothing_is_read_after_a_close() -> None:
    stream = framed(Opcode.CLOSE, b"\x03\xe9bye") + framed(Opcode.BINARY, b"late")
    assert Reader(BYTES_MAX).feed(stream) == [Close(1001)]
    assert Reader(BYTES_MAX).feed(framed(Opcode.CLOSE, b"")) == [Close(NO_CODE)]


@pytest.mark.parametrize(
    ("stream", "code", "why"),
    [
        (Frame(Opcode.BINARY, b"x").serialize(mask=False), PROTOCOL_ERROR, "masked"),
        (b"\xc2\x81....x", PROTOCOL_ERROR, "reserved"),
        (b"\x83\x81....x", PROTOCOL_ERROR, "unknown opcode"),
        (b"\x89\xfe\x00\x80....", PROTOCOL_ERROR, "control frame"),
        (b"\x09\x81....x", PROTOCOL_ERROR, "control frame"),
        (framed(Opcode.CONT, b"x"), PROTOCOL_ERROR, "without a beginning"),
        (framed(Opcode.BINARY, b"x", False) + framed(Opcode.BINARY, b"y"), PROTOCOL_ERROR, "before the last"),
        (framed(Opcode.TEXT, b"x"), UNSUPPORTED, "binary"),
        (b"\x82\xff" + (BYTES_MAX + 1).to_bytes(8, "big"), TOO_BIG, str(BYTES_MAX)),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big"), TOO_BIG, str(BYTES_MAX)),
    ],
    ids=map(str, range(100)),  # The bytes hold a random mask.
)  # fmt: skip
def test_a_breach_of_the_protocol_is_refused_with_its_code(stream: bytes, code: int, why: str) -> None:
    with pytest.raises(Violation, match=why) as refused:
        Reader(BYTES_MAX).feed(stream)
    assert refused.value.code == code


def test_fragments_together_are_bounded_like_a_message() -> None:
    reader = Reader(100)
    assert reader.feed(framed(Opcode.BINARY, bytes(60), fin=False)) == []
    with pytest.raises(Violation, match="at most 100"):
        reader.feed(framed(Opcode.CONT, bytes(41), fin=False))


def test_what_a_server_answers_is_understood_by_a_client() -> None:
    client = Protocol(CLIENT)
    client.receive_data(pong(b"here") + close(1001))
    answered, last = client.events_received()
    assert isinstance(answered, Frame)
    assert (answered.opcode, answered.data) == (Opcode.PONG, b"here")
    assert isinstance(last, Frame)
    assert last.opcode is Opcode.CLOSE
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == 1001
