"""Frames of the stream: what is written is read back, and whatever else comes is refused with its code."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import ProtocolError
from fastcheck.wire import frames
from fastcheck.wire.frames import Commit, Frame, Hello, Refused
from rig.frame_samples import FROM_HOST, FROM_HUB

HOST: list[Frame] = [*FROM_HOST.values()]
HUB: list[Frame] = [*FROM_HUB.values()]


def test_every_frame_is_of_one_side_and_has_a_number_of_its_own_and_a_sample() -> None:
    written = {
        one
        for one in vars(frames).values()
        if isinstance(one, type) and issubclass(one, frames.Body) and one is not frames.Body
    }
    sides = (frames.FROM_HOST, FROM_HOST), (frames.FROM_HUB, FROM_HUB)
    assert written == {row.frame for rows, _ in sides for row in rows.values()}
    assert len(written) == sum(len(rows) for rows, _ in sides), "two frames have one number"
    for rows, samples in sides:
        assert {type(one) for one in samples.values()} == {row.frame for row in rows.values()}
        assert all(0 < number < frames.OPTIONAL_FROM for number in rows)


@pytest.mark.parametrize(("recorded", "frame"), [*FROM_HOST.items(), *FROM_HUB.items()])
def test_the_bytes_of_every_frame_are_those_recorded(recorded: str, frame: Frame) -> None:
    assert frames.encode(frame).hex() == recorded


@pytest.mark.parametrize(("sent", "from_hub"), [(HOST, False), (HUB, True)])
def test_what_is_written_is_read_back(sent: list[Frame], from_hub: bool) -> None:
    for one in sent:
        assert frames.decode(frames.encode(one), from_hub=from_hub) == [one]
    assert frames.decode(b"".join(map(frames.encode, sent)), from_hub=from_hub) == sent
    assert frames.decode(b"", from_hub=from_hub) == []


def refusal(message: bytes, *, from_hub: bool = True) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        frames.decode(message, from_hub=from_hub)
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.code in frames.CODES
    assert len(caught.value.detail) < frames.DETAIL_BYTES_MAX
    return caught.value.code, caught.value.detail


def refused_as_known(refused: Refused) -> None:
    assert refused.code in frames.CODES


def raw(*values: Any) -> bytes:
    packed: bytes = msgpack.packb(values)
    return packed


def test_frames_of_one_side_are_not_taken_from_the_other() -> None:
    for one in HOST:
        assert refusal(frames.encode(one))[0] == frames.UNKNOWN_FRAME
    for one in HUB:
        assert refusal(frames.encode(one), from_hub=False)[0] == frames.UNKNOWN_FRAME


def test_more_fields_and_optional_frames_of_a_newer_peer_are_read_over() -> None:
    newer = raw(1, 20, 5, 10, 11, 12, "something new", [1, {"a": 2}])
    assert frames.decode(newer, from_hub=True) == [Commit(5, 10, 11, 12)]
    optional = raw(1, 128, {"anything": [1, 2, 3]})
    assert frames.decode(optional + newer, from_hub=True) == [Commit(5, 10, 11, 12)]
    assert refusal(raw(1, 127, 1)) == (
        frames.UNKNOWN_FRAME,
        "a frame of type 127, which is required and not known here",
    )


def test_a_frame_of_another_version_is_refused_as_such() -> None:
    assert refusal(raw(2, 20, 5, 10, 11, 12))[0] == frames.VERSION_UNKNOWN


@pytest.mark.parametrize("frame", [*HOST, *HUB])
def test_a_frame_without_its_last_field_is_refused(frame: Frame) -> None:
    values = msgpack.unpackb(frames.encode(frame))
    missing = msgpack.packb(values[:-1])
    code, detail = refusal(missing, from_hub=frame in HUB)
    assert code == frames.MALFORMED
    assert "required" in detail


@pytest.mark.parametrize("frame", [*HOST, *HUB])
@pytest.mark.parametrize("wrong", [None, -1, 1.5, True, [], {"a": 1}, 1 << 63, b"\xff", "\x00"])
def test_a_field_of_another_kind_is_refused(frame: Frame, wrong: Any) -> None:
    values = msgpack.unpackb(frames.encode(frame))
    for place in range(2, len(values)):
        if isinstance(frame, Hello) and values[place] is None and wrong is None:
            continue  # Nothing to go on from is a thing to have.
        changed = [*values[:place], wrong, *values[place + 1 :]]
        try:
            [read] = frames.decode(msgpack.packb(changed), from_hub=frame in HUB)
        except Refused as refused:
            refused_as_known(refused)
        else:  # It was of the right kind after all: then it is what was said.
            assert msgpack.unpackb(frames.encode(read))[place] == wrong


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xc1", frames.MALFORMED),  # Never used in msgpack.
        (b"\x93\x01", frames.MALFORMED),  # Ends within.
        (b"\xdd\xff\xff\xff\xff", frames.MALFORMED),  # Declares 2^32 entries.
        (b"\xc6\xff\xff\xff\xff", frames.MALFORMED),  # Declares 4 GiB of bytes.
        (b"\x91" * 100_000, frames.MALFORMED),  # Depth bomb.
        (raw(1), frames.MALFORMED),
        (msgpack.packb({"version": 1}), frames.MALFORMED),
        (raw("1", 20), frames.MALFORMED),
        (raw(True, 20), frames.MALFORMED),
        (raw(1, -20), frames.MALFORMED),
        (raw(1, 18, b"x" * (frames.RECORDS_BYTES_MAX + 1)), frames.TOO_LARGE),
        (raw(1, 19, 0, b"x" * (frames.PIECE_BYTES_MAX + 1)), frames.TOO_LARGE),
        (raw(1, 17, "f", frames.CATALOG_BYTES_MAX + 1, 0, b"x"), frames.TOO_LARGE),
        (raw(1, 17, "f", 4, 3, b"xx"), frames.MALFORMED),
        (raw(1, 17, "f", 4, 4, b""), frames.MALFORMED),
        (raw(1, 16, 3, 5, 1, 9, 0, 1, 0, 0, 1), frames.MALFORMED),
        (raw(1, 16, 1, 5, 9, 1, 0, 1, 0, 0, 1), frames.GAP),
        (raw(1, 16, 1, 5, 1, 9, 0, 0, 0, 0, 1), frames.MALFORMED),
        (raw(1, 22, 1, 1, ["x"] * (frames.KEYS_PER_WANT_MAX + 1), b""), frames.TOO_LARGE),
        (raw(1, 23, "drain", "x" * (frames.DETAIL_BYTES_MAX + 1), 0), frames.MALFORMED),
        (raw(1, 128) * (frames.FRAMES_PER_MESSAGE_MAX + 1), frames.TOO_LARGE),
        (b"\x00" * (frames.HUB_MESSAGE_BYTES_MAX + 1), frames.TOO_LARGE),
    ],
)
def test_what_a_hub_must_not_send(message: bytes, code: str) -> None:
    assert refusal(message)[0] == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (raw(1, 1, "", 1, None, 0, ""), frames.MALFORMED),
        (raw(1, 1, "h" * 129, 1, None, 0, ""), frames.MALFORMED),
        (raw(1, 1, "h", 1, [1, 2], 0, ""), frames.MALFORMED),
        (raw(1, 1, "h", 1, 5, 0, ""), frames.MALFORMED),
        (raw(1, 1, "h", 1, None, 2, ""), frames.MALFORMED),
        (raw(1, 1, "h", 1, None, 1.0, ""), frames.MALFORMED),
        (raw(1, 4, 1, []), frames.MALFORMED),
        (raw(1, 4, 1, [""]), frames.MALFORMED),
        (raw(1, 4, 1, ["a\0b"]), frames.MALFORMED),
        (raw(1, 4, 1, [7]), frames.MALFORMED),
        (raw(1, 4, 1, ["x" * (frames.NAME_MAX + 1)]), frames.MALFORMED),
        (raw(1, 4, 1, ["x"] * (frames.KEYS_PER_WANT_MAX + 1)), frames.TOO_LARGE),
        (b"\x94\x01\x04\x01\x91\xa3\xed\xa0\x80", frames.MALFORMED),  # A lone surrogate.
        (b"\x00" * (frames.HOST_MESSAGE_BYTES_MAX + 1), frames.TOO_LARGE),
    ],
)
def test_what_a_host_must_not_send(message: bytes, code: str) -> None:
    assert refusal(message, from_hub=False)[0] == code


def test_text_that_is_no_unicode_is_refused() -> None:
    values = (1, 23, "drain", "\ud800", 0)
    packed = msgpack.packb(values, unicode_errors="surrogatepass")
    assert refusal(packed)[0] == frames.MALFORMED
    with pytest.raises(Refused, match="Unicode"):
        frames._text("detail", 10)("\ud800")


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(message: bytes) -> None:
    for from_hub in (True, False):
        try:
            read = frames.decode(message, from_hub=from_hub)
        except Refused as refused:
            refused_as_known(refused)
        else:
            again = b"".join(map(frames.encode, read))
            assert frames.decode(again, from_hub=from_hub) == read


@given(st.lists(st.sampled_from(HUB), min_size=1, max_size=4), st.data())
def test_changed_frames_are_read_or_refused(sent: list[Frame], data: Any) -> None:
    message = bytearray(b"".join(map(frames.encode, sent)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(message) - 1))
        message[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for changed in (bytes(message), bytes(message[:cut])):
        try:
            frames.decode(changed, from_hub=True)
        except Refused as refused:
            refused_as_known(refused)
