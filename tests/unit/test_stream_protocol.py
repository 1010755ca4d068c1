"""The host's side of the conversation, without sockets and without a clock: every rule of
docs/format/stream.md, each as what is refused and what comes of what is not."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest

from fastcheck.host.following import protocol
from fastcheck.host.following.events import (
    Apply,
    BeginFull,
    CompleteFull,
    Ended,
    Event,
    FoundCustomers,
    Fresh,
    PieceCame,
    Step,
)
from fastcheck.host.following.protocol import State, Stream
from fastcheck.wire import frames
from fastcheck.wire.frames import (
    ALL,
    DELTA,
    FULL,
    NONE,
    ON_DEMAND,
    CatalogPart,
    Commit,
    Found,
    Frame,
    FromHub,
    Goodbye,
    Have,
    Heartbeat,
    Intent,
    Piece,
    Records,
    Refused,
)
from rig.frame_samples import FROM_HUB

AT = Have(3, 10, 77)
HUB_MS = 1_700_000_000_000
BEAT_MS = 5_000


def message(*parts: Frame) -> bytes:
    return b"".join(map(frames.encode, parts))


def intent(kind: int, seq_from: int, seq_to: int, *, epoch: int = 3, size: int = 0, **more: int) -> Intent:
    return Intent(kind, epoch, seq_from, seq_to, HUB_MS, BEAT_MS, 0, size, **more)


def commit(seq: int, digest: int = 0, *, epoch: int = 3, at_ms: int = HUB_MS + 1) -> Commit:
    return Commit(epoch, seq, digest, at_ms)


def greeted(have: Have | None = AT, mode: int = ALL) -> Stream:
    stream = Stream("h_1", 9, mode, have, 0, software="tests")
    stream.hello()
    return stream


def live(have: Have = AT, mode: int = ALL) -> Stream:
    stream = greeted(have, mode)
    stream.receive(message(intent(NONE, have.seq, have.seq)), 0)
    return stream


def refused(stream: Stream, *parts: Frame, code: str, match: str | None = None) -> None:
    """The whole message counts for nothing, and the stream takes no other."""
    with pytest.raises(Refused, match=match) as caught:
        stream.receive(message(*parts), 1)
    assert caught.value.code == code
    [nack] = frames.decode(stream.refuse(code, caught.value.detail), from_hub=False)
    assert isinstance(nack, frames.Nack)
    assert nack.code == code
    assert stream.state is State.ENDED
    with pytest.raises(Refused, match="ended"):
        stream.receive(message(*parts), 2)


def test_hello_says_who_and_what_it_has_and_is_said_once() -> None:
    stream = Stream("h_1", 9, ALL, AT, 0, software="tests")
    with pytest.raises(Refused, match="new"):
        stream.receive(message(intent(NONE, 10, 10)), 0)
    assert frames.decode(stream.hello(), from_hub=False) == [frames.Hello("h_1", 9, AT, ALL, "tests")]
    with pytest.raises(ValueError, match="once"):
        stream.hello()


def test_nothing_is_missing() -> None:
    stream = greeted()
    assert stream.receive(message(intent(NONE, 10, 10)), 0) == [Fresh(HUB_MS)]
    assert stream.state is State.LIVE
    assert stream.answer(AT) is None  # An intent asks for no answer.


def test_changes_that_come_in_one_message_become_visible_together() -> None:
    stream = greeted()
    events = stream.receive(
        message(
            intent(DELTA, 10, 12),
            Records(b"ab"),
            Records(b"c"),
            commit(11, 1),
            commit(12, 2),
            Records(b"d"),
            commit(13, 3, at_ms=HUB_MS + 9),
        ),
        0,
    )
    steps = (Step(b"abc", Have(3, 11, 1)), Step(b"", Have(3, 12, 2)), Step(b"d", Have(3, 13, 3)))
    assert events == [Apply(steps, None, HUB_MS + 9), Fresh(HUB_MS + 9)]
    [apply, _] = events
    assert isinstance(apply, Apply)
    assert (apply.records, apply.size, apply.at) == (b"abcd", 4, Have(3, 13, 3))
    stream.applied(Have(3, 13, 3))
    answer = stream.answer(Have(3, 13, 3))
    assert answer is not None
    assert frames.decode(answer, from_hub=False) == [frames.Ack(13, 3)]
    assert stream.answer(Have(3, 13, 3)) is None  # Once.


def test_what_is_not_committed_when_a_message_ends_goes_on_in_the_next() -> None:
    stream = live()
    assert stream.receive(message(Records(b"a")), 0) == []
    assert stream.answer(AT) is None
    [apply, _] = stream.receive(message(Records(b"b"), commit(11)), 0)
    assert isinstance(apply, Apply)
    assert apply.records == b"ab"


def test_changes_on_the_way_to_the_hubs_place_are_not_fresh() -> None:
    stream = greeted()
    assert stream.receive(message(intent(DELTA, 10, 12)), 0) == []
    assert not any(isinstance(one, Fresh) for one in stream.receive(message(commit(11)), 0))
    assert stream.receive(message(commit(12)), 0)[-1] == Fresh(HUB_MS + 1)


def test_a_catalog_ends_a_run_and_may_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = live()
    events = stream.receive(
        message(
            Records(b"a"),
            commit(11),
            CatalogPart("c.yaml", 5, 0, b"cat"),
            CatalogPart("c.yaml", 5, 3, b"s!"),
            Records(b"b"),
            commit(12),
            Records(b"c"),
            commit(13),
        ),
        0,
    )
    assert [(one.records, one.catalog) for one in events if isinstance(one, Apply)] == [
        (b"a", None),
        (b"b", (b"cats!", "c.yaml")),
        (b"c", None),
    ]


def test_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "JOIN_BYTES_MAX", 4)
    events = live().receive(message(*(one for n in (11, 12, 13) for one in (Records(b"xx"), commit(n)))), 0)
    assert [len(one.steps) for one in events if isinstance(one, Apply)] == [2, 1]


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ([CatalogPart("c", 5, 3, b"s!")], "begins at offset 3"),
        ([CatalogPart("c", 5, 0, b"cat"), CatalogPart("c", 5, 0, b"cat")], "two catalogs"),
        ([CatalogPart("c", 5, 0, b"cat"), CatalogPart("c", 5, 2, b"s!")], "expected 5 bytes, offset 3"),
        ([CatalogPart("c", 5, 0, b"cat"), CatalogPart("d", 5, 3, b"s!")], "offset 3"),
        ([CatalogPart("c", 5, 0, b"cat"), commit(11)], "3 of 5 bytes of a catalog"),
    ],
)  # fmt: skip
def test_a_catalog_that_does_not_add_up_is_refused(parts: Sequence[Frame], match: str) -> None:
    refused(live(), *parts, code=frames.UNEXPECTED, match=match)


@pytest.mark.parametrize("seq", [9, 10, 12])
def test_a_gap_a_repetition_and_a_step_back_are_refused(seq: int) -> None:
    refused(live(), Records(b"a"), commit(seq), code=frames.GAP, match=f"change {seq} follows change 10")


def test_a_refused_commit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = live()
    with pytest.raises(Refused):
        stream.receive(message(commit(12)), 0)
    [nack] = frames.decode(stream.refuse(frames.GAP, "x" * 5_000 + "\0"), from_hub=False)
    assert nack == frames.Nack(12, frames.GAP, "x" * frames.DETAIL_BYTES_MAX)


def test_nothing_of_a_message_with_a_mistake_counts() -> None:
    stream = live()
    with pytest.raises(Refused) as caught:
        stream.receive(message(commit(11), commit(13)), 0)
    assert caught.value.code == frames.GAP
    assert stream.answer(AT) is None


def test_another_epoch_is_refused() -> None:
    refused(live(), commit(11, epoch=4), code=frames.EPOCH)
    refused(live(), Heartbeat(HUB_MS, 4, 10, 77), code=frames.EPOCH)
    refused(greeted(), intent(DELTA, 10, 12, epoch=2), code=frames.EPOCH)
    stream = greeted(None)
    stream.receive(message(intent(FULL, 5, 5, size=1)), 0)
    refused(stream, Piece(0, b"x"), commit(5, epoch=4), code=frames.EPOCH)


@pytest.mark.parametrize(
    ("sent", "code", "match"),
    [
        (intent(DELTA, 9, 12), frames.GAP, "9 to 12"),
        (intent(DELTA, 11, 12), frames.GAP, "11 to 12"),
        (intent(NONE, 10, 11), frames.GAP, "10 to 11"),
        (intent(FULL, 11, 11), frames.UNEXPECTED, "no file"),
        (intent(FULL, 11, 11, size=protocol.SNAPSHOT_BYTES_MAX + 1), frames.TOO_LARGE, "snapshot of"),
        (Intent(NONE, 3, 10, 10, HUB_MS, protocol.HEARTBEAT_MS_MAX + 1), frames.TOO_LARGE, "heartbeat"),
        (
            intent(NONE, 10, 10, message_bytes_max=frames.HUB_MESSAGE_BYTES_MAX + 1), frames.TOO_LARGE,
            "announced",
        ),
    ],
)  # fmt: skip
def test_an_intent_that_cannot_be_gone_on_from_is_refused(sent: Intent, code: str, match: str) -> None:
    refused(greeted(), sent, code=code, match=match)


def test_a_host_that_has_nothing_takes_no_changes() -> None:
    refused(greeted(None), intent(DELTA, 0, 5), code=frames.UNEXPECTED, match="needs a full transfer")


TAKEN_BEFORE_THE_INTENT = (Intent, Heartbeat, Goodbye)


@pytest.mark.parametrize("sent", [*FROM_HUB.values(), commit(11)])
def test_before_the_intent_nothing_else_comes(sent: FromHub) -> None:
    if not isinstance(sent, TAKEN_BEFORE_THE_INTENT):
        refused(greeted(), sent, code=frames.UNEXPECTED)


@pytest.mark.parametrize("sent", FROM_HUB.values())
def test_every_frame_of_a_hub_is_taken_or_refused(sent: FromHub) -> None:
    for stream in (greeted(), live(), live(mode=ON_DEMAND)):
        with contextlib.suppress(Refused):
            stream.receive(message(sent), 0)


def test_a_second_intent_is_refused() -> None:
    refused(live(), intent(NONE, 10, 10), code=frames.UNEXPECTED, match="live")


def test_a_heartbeat_before_the_intent_is_a_sign_of_life_and_no_more() -> None:
    stream = greeted()
    assert stream.receive(message(Heartbeat(HUB_MS, 3, 10, 1)), 0) == []
    assert stream.answer(AT) is None


def test_a_heartbeat_says_that_nothing_is_missing() -> None:
    stream = live()
    assert stream.receive(message(Heartbeat(HUB_MS + 5, 3, 10, 77)), 0) == [Fresh(HUB_MS + 5)]
    stream.applied(AT)
    answer = stream.answer(AT)
    assert answer is not None
    assert frames.decode(answer, from_hub=False) == [frames.Ack(10, 77)]
    # A hub's clock that was set back makes nothing older.
    assert stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 0) == [Fresh(HUB_MS + 5)]


def test_a_heartbeat_on_the_way_is_not_fresh() -> None:
    stream = greeted()
    stream.receive(message(intent(DELTA, 10, 12)), 0)
    assert stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 0) == []


def test_a_heartbeat_of_another_place_is_refused() -> None:
    refused(live(), Heartbeat(HUB_MS, 3, 11, 77), code=frames.GAP)
    refused(live(), Heartbeat(HUB_MS, 3, 10, 78), code=frames.DIGEST)
    # A host on demand holds a part, and compares no digest.
    assert live(mode=ON_DEMAND).receive(message(Heartbeat(HUB_MS, 3, 10, 78)), 0) == [Fresh(HUB_MS)]


def test_what_the_arena_came_to_is_compared_with_what_was_announced() -> None:
    stream = live()
    stream.receive(message(commit(11, 5), CatalogPart("c", 1, 0, b"c"), commit(12, 6)), 0)
    stream.applied(Have(3, 11, 5))
    with pytest.raises(Refused, match="sum up to") as caught:
        stream.applied(Have(3, 12, 7))
    assert caught.value.code == frames.DIGEST
    [nack] = frames.decode(stream.refuse(frames.DIGEST, "other"), from_hub=False)
    assert nack == frames.Nack(12, frames.DIGEST, "other")


def test_what_became_visible_must_be_what_was_made_visible() -> None:
    for wrong in (Have(3, 10, 5), Have(4, 11, 5), Have(3, 12, 5)):
        stream = live()
        stream.receive(message(commit(11, 5)), 0)
        stream.applied(Have(3, 11, 5))
        with pytest.raises(Refused) as caught:
            stream.applied(wrong)
        assert caught.value.code == frames.GAP


def test_an_ack_says_no_more_than_the_hub_told() -> None:
    def acked(visible: Have) -> frames.Frame:
        stream = live(mode=ON_DEMAND)
        stream.receive(message(commit(11, 5)), 0)
        answer = stream.answer(visible)
        assert answer is not None
        [ack] = frames.decode(answer, from_hub=False)
        return ack

    assert acked(Have(3, 12, 9)) == frames.Ack(11, 5)  # The arena was ahead of the checkpoint.
    assert acked(Have(2, 12, 9)) == frames.Ack(0, 0)  # Of another life of the ledger.
    assert acked(Have(3, 10, 9)) == frames.Ack(10, 9)


# Full transfers.


def test_a_snapshot_comes_in_pieces_and_counts_at_its_commit() -> None:
    stream = greeted(AT)
    begin = Intent(FULL, 4, 5, 5, HUB_MS, BEAT_MS, 1_000, 6)
    assert stream.receive(message(begin, Piece(0, b"abc")), 0) == [BeginFull(6, 1_000), PieceCame(0, b"abc")]
    assert stream.answer(AT) is None
    assert stream.receive(message(Heartbeat(HUB_MS, 4, 5, 0)), 0) == []
    assert stream.receive(message(Piece(3, b"def"), commit(5, 8, epoch=4)), 0) == [
        PieceCame(3, b"def"),
        CompleteFull(Have(4, 5, 8), HUB_MS + 1),
        Fresh(HUB_MS + 1),
    ]
    stream.applied(Have(4, 5, 8))
    assert stream.receive(message(commit(6, 9, epoch=4)), 0)[0] == Apply(
        (Step(b"", Have(4, 6, 9)),), None, HUB_MS + 1
    )


@pytest.mark.parametrize(
    ("parts", "code", "match"),
    [
        ([Piece(1, b"x")], frames.UNEXPECTED, "expected 0"),
        ([Piece(0, b"")], frames.UNEXPECTED, "0 bytes"),
        ([Piece(0, b"abc"), Piece(2, b"c")], frames.UNEXPECTED, "expected 3"),
        ([Piece(0, b"abcdefg")], frames.TOO_LARGE, "6 bytes announced"),
        ([Piece(0, b"abc"), commit(5)], frames.UNEXPECTED, "3 of 6 bytes"),
        ([Piece(0, b"abcdef"), commit(6)], frames.GAP, "change 6"),
        ([Records(b"r")], frames.UNEXPECTED, "receiving"),
        ([CatalogPart("c", 1, 0, b"c")], frames.UNEXPECTED, "receiving"),
        ([intent(FULL, 5, 5, size=6)], frames.UNEXPECTED, "receiving"),
    ],
)  # fmt: skip
def test_a_snapshot_that_is_not_as_announced_is_refused(
    parts: Sequence[Frame], code: str, match: str
) -> None:
    stream = greeted(None)
    stream.receive(message(intent(FULL, 5, 5, size=6)), 0)
    refused(stream, *parts, code=code, match=match)


def test_a_nack_before_anything_is_visible_names_no_change() -> None:
    stream = greeted(None)
    [nack] = frames.decode(stream.refuse(frames.MALFORMED, "\N{SNOWMAN}"), from_hub=False)
    assert nack == frames.Nack(0, frames.MALFORMED, "\N{SNOWMAN}")


# On demand.


def test_a_full_transfer_on_demand_has_a_catalog_and_no_file() -> None:
    stream = greeted(None, ON_DEMAND)
    events = stream.receive(message(intent(FULL, 5, 5), CatalogPart("c", 1, 0, b"c"), commit(5)), 0)
    assert events == [
        BeginFull(0, 0),
        CompleteFull(Have(3, 5, 0), HUB_MS + 1, (b"c", "c")),
        Fresh(HUB_MS + 1),
    ]
    without = intent(FULL, 5, 5), commit(5)
    refused(greeted(None, ON_DEMAND), *without, code=frames.UNEXPECTED, match="without a")
    refused(greeted(None, ON_DEMAND), intent(FULL, 5, 5, size=7), code=frames.UNEXPECTED, match="a file")
    refused(
        greeted(None, ON_DEMAND), intent(FULL, 5, 5), Records(b"r"), code=frames.UNEXPECTED, match="before"
    )


def test_questions_have_ids_and_their_answers_are_events() -> None:
    stream = live(mode=ON_DEMAND)
    id, sent = stream.want(("a", "b"))
    assert frames.decode(sent, from_hub=False) == [frames.Want(id, ("a", "b"))]
    assert stream.receive(message(commit(11), Found(id, 12, ("b",), b"rec")), 0) == [
        Apply((Step(b"", Have(3, 11, 0)),), None, HUB_MS + 1),
        FoundCustomers(id, 12, ("a", "b"), ("b",), b"rec"),
        Fresh(HUB_MS + 1),
    ]
    refused(stream, Found(id, 12, (), b""), code=frames.UNEXPECTED, match="not open")


def test_an_answer_about_others_is_refused() -> None:
    stream = live(mode=ON_DEMAND)
    id, _ = stream.want(("a",))
    refused(stream, Found(id, 12, ("c",), b""), code=frames.MALFORMED, match="not asked for")


def test_questions_are_bounded_and_asked_only_while_live() -> None:
    stream = live(mode=ON_DEMAND)
    for _ in range(protocol.WANTS_ASKED_MAX):
        stream.want(("a",))
    assert stream.wants_left == 0
    for other in (stream, greeted(AT, ON_DEMAND), live()):
        with pytest.raises(ValueError, match="now"):
            other.want(("a",))
    for keys in ((), ("k",) * (frames.KEYS_PER_WANT_MAX + 1)):
        with pytest.raises(ValueError, match="at once"):
            live(mode=ON_DEMAND).want(keys)


# Bounds and ends.


def test_a_message_over_the_announced_bound_is_refused() -> None:
    stream = greeted()
    stream.receive(message(intent(NONE, 10, 10, message_bytes_max=64)), 0)
    refused(stream, Records(b"x" * 64), code=frames.TOO_LARGE, match="64 were announced")


def test_a_change_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CHANGE_BYTES_MAX", 10)
    stream = live()
    stream.receive(message(Records(b"x" * 10)), 0)
    refused(stream, Records(b"x"), code=frames.TOO_LARGE, match="a change with more")


@pytest.mark.parametrize("junk", [b"\xc1", b"\x91\x01", b"\x93\x01\x10\x00", b"\xde\xff\xff"])
def test_what_is_no_frame_is_refused(junk: bytes) -> None:
    stream = live()
    with pytest.raises(Refused) as caught:
        stream.receive(junk, 0)
    assert caught.value.code == frames.MALFORMED
    assert stream.state is State.ENDED


def test_goodbye_is_the_last_frame() -> None:
    stream = live()
    events: list[Event] = stream.receive(message(commit(11), Goodbye("drain", "a deploy", 250)), 0)
    assert events == [Apply((Step(b"", Have(3, 11, 0)),), None, HUB_MS + 1), Ended("drain", "a deploy", 250)]
    assert stream.state is State.ENDED
    assert stream.answer(Have(3, 11, 0)) is None
    assert stream.tick(10**9) is None
    refused(live(), Goodbye("drain", "", 0), commit(11), code=frames.UNEXPECTED, match="after goodbye")


def test_a_hub_that_is_not_heard_for_three_heartbeats_is_gone() -> None:
    stream = live()
    stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 1_000)
    assert stream.tick(1_000 + 3 * BEAT_MS) is None
    ended = stream.tick(1_001 + 3 * BEAT_MS)
    assert ended is not None
    assert (ended.code, ended.detail) == (frames.IDLE, "the hub was not heard for 15.0 s")
    assert stream.state is State.ENDED


def test_a_host_that_was_busy_blames_nobody() -> None:
    stream = live()
    stream.resume(100_000)
    assert stream.tick(100_000 + 3 * BEAT_MS) is None
    assert stream.tick(100_001 + 3 * BEAT_MS) is not None


def test_a_host_waits_longer_for_its_intent() -> None:
    stream = greeted()
    assert stream.tick(protocol.INTENT_WAIT_MS) is None
    assert stream.tick(protocol.INTENT_WAIT_MS + 1) is not None
    assert Stream("h", 1, ALL, None, 0).tick(10**9) is None  # Nothing was said yet.


def test_a_clock_that_was_set_back_makes_no_dead_hub_live() -> None:
    stream = live()
    stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 100_000)
    assert stream.tick(0) is None
    assert stream.tick(3 * BEAT_MS + 1) is not None


def test_a_host_is_current_for_the_first_time_where_the_hub_stood_when_it_came() -> None:
    stream = Stream("host", 1, frames.ALL, None, 0)
    stream.hello()
    stream.receive(message(intent(FULL, 10, 12, size=1)), 0)
    snapshot = stream.receive(message(Piece(0, b"x"), Commit(3, 10, 7, 1)), 0)
    assert not any(isinstance(event, Fresh) for event in snapshot)
    stream.applied(Have(3, 10, 7))
    first = stream.receive(message(Commit(3, 11, 8, 1)), 0)
    assert not any(isinstance(event, Fresh) for event in first)
    stream.applied(Have(3, 11, 8))
    assert any(isinstance(event, Fresh) for event in stream.receive(message(Commit(3, 12, 9, 1)), 0))


def test_what_is_visible_is_compared_at_a_heartbeat_too() -> None:
    stream = Stream("host", 1, frames.ALL, AT, 0)
    stream.hello()
    stream.receive(message(intent(NONE, 10, 10)), 0)
    stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 0)
    with pytest.raises(frames.Refused) as caught:
        stream.answer(Have(3, 10, 78))
    assert caught.value.code == frames.DIGEST
    stream = Stream("host", 1, frames.ALL, AT, 0)
    stream.hello()
    stream.receive(message(intent(NONE, 10, 10)), 0)
    stream.receive(message(Heartbeat(HUB_MS, 3, 10, 77)), 0)
    assert stream.answer(AT) == frames.encode(frames.Ack(10, 77))
