"""The hub's side of a conversation, without sockets and clocks."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import CLIENT, Protocol

from fastcheck.host.following.protocol import WANTS_ASKED_MAX
from fastcheck.hub.stream import session as s
from fastcheck.hub.stream.actions import (
    Actions,
    End,
    Enter,
    Find,
    Greeted,
    Leave,
    Look,
    OpenSnapshot,
    ReadLog,
    ReadPiece,
    Send,
    Snapshot,
    Tell,
)
from fastcheck.hub.stream.ring import CatalogText, Ring
from fastcheck.hub.stream.session import Session, State, Times
from fastcheck.wire import frames as f
from fastcheck.wire.frames import (
    ALL,
    DELTA,
    FULL,
    NONE,
    ON_DEMAND,
    Ack,
    CatalogPart,
    Commit,
    Found,
    FromHost,
    FromHub,
    Goodbye,
    Have,
    Heartbeat,
    Hello,
    Intent,
    Nack,
    Piece,
    Records,
    Want,
    decode,
    encode,
)
from fastcheck.wire.packing import pack
from rig.frame_samples import FROM_HOST
from rig.stream_ledger import EPOCH, FoundRecords, change, record

Kind = TypeVar("Kind")
TIMES = Times(heartbeat_ms=1_000, hello_ms=2_000, wait_ms=3_000, stall_ms=4_000, apply_ms=60_000)
CATALOG = CatalogText("c.yaml", b"the catalog")


def a_ring(seq: int = 20, first: int = 10, log_first: int = 5) -> Ring:
    """A ring with the changes after `first` up to `seq`; the log goes back to `log_first`."""
    ring = Ring()
    ring.begin(EPOCH, first, first * 1_000, CATALOG)
    ring.log_first = log_first
    for number in range(first + 1, seq + 1):
        ring.append(change(number, record(number)))
    return ring


class Talk:
    """A session, and what it had its shell do."""

    def __init__(self, ring: Ring | None = None) -> None:
        self.ring = a_ring() if ring is None else ring
        self.session = Session(self.ring, TIMES, lambda most: most, 0)
        self.client = Protocol(CLIENT, max_size=8 << 20)
        self.sent: list[FromHub] = []
        self.asked: list[object] = []
        """Everything but `Send`, in order."""

    def do(self, actions: Actions) -> Talk:
        for action in actions:
            if isinstance(action, Send):
                self.client.receive_data(action.data)
                for message in self.client.events_received():
                    assert isinstance(message, WebSocketFrame)
                    self.sent += decode(bytes(message.data), from_hub=True)
            else:
                self.asked.append(action)
        return self

    def say(self, *said: FromHost, now: int = 0) -> Talk:
        return self.do(self.session.receive(b"".join(map(encode, said)), now))

    def hello(self, have: Have | None = None, mode: int = ALL) -> Talk:
        return self.say(Hello("host", 7, have, mode, "test 1"))

    def go_on(self, now: int = 0) -> Talk:
        while actions := self.session.go_on(now):
            self.do(actions)
            if any(not isinstance(one, Send) for one in actions):
                break
        return self

    def take(self, kind: type[Kind]) -> Kind:
        """The only thing that was sent or asked for of this kind since the last time."""
        [found] = [one for one in (*self.sent, *self.asked) if isinstance(one, kind)]
        self.sent.clear()
        self.asked.clear()
        return found

    def ended(self, code: str) -> Goodbye:
        assert self.session.closed
        assert self.asked[-2:] == [Leave(), End(code)]
        goodbye = self.sent[-1]
        assert isinstance(goodbye, Goodbye)
        assert goodbye.code == code
        return goodbye

    @property
    def commits(self) -> list[int]:
        return [one.seq for one in self.sent if isinstance(one, Commit)]


def have(seq: int, digest: int | None = None, epoch: int = EPOCH) -> Have:
    return Have(epoch, seq, seq * 1_000 if digest is None else digest)


def live(mode: int = ALL, ring: Ring | None = None) -> Talk:
    """A host that has everything."""
    talk = Talk(ring).hello(have(20), mode)
    talk.sent.clear()
    talk.asked.clear()
    assert talk.session.state is State.LIVE
    return talk


# What a host lacks.


def test_a_host_that_has_everything_is_sent_nothing_until_something_changes() -> None:
    talk = Talk().hello(have(20))
    assert talk.asked == [Greeted("host")]
    assert (talk.session.host, talk.session.software) == ("host", "test 1")
    assert talk.go_on().take(Intent) == Intent(NONE, EPOCH, 20, 20, 0, 1_000)
    talk.ring.append(change(21, record(1)))
    talk.go_on()
    assert talk.sent == [Records(record(1)), Commit(EPOCH, 21, 21_000, change(21).at)]
    assert talk.session.seq == 21
    assert talk.session.go_on(0) == ()


def test_what_is_in_the_ring_is_sent_from_there() -> None:
    talk = Talk().hello(have(15))
    intent = talk.sent[0]
    assert intent == Intent(DELTA, EPOCH, 15, 20, 0, 1_000)
    assert talk.go_on().commits == [16, 17, 18, 19, 20]
    assert talk.asked == [Greeted("host")]


def test_what_is_in_the_log_is_read_from_there_with_a_place_and_then_the_ring_goes_on() -> None:
    talk = Talk().hello(have(6))
    assert talk.take(Enter) == Enter(s.LOG_COST)
    assert talk.session.go_on(0) == ()
    talk.do(talk.session.admitted(0))
    assert talk.take(Intent) == Intent(DELTA, EPOCH, 6, 20, 0, 1_000)
    assert talk.go_on().take(ReadLog) == ReadLog(6)
    assert talk.session.go_on(0) == ()  # One read at a time.
    talk.do(talk.session.log_read(EPOCH, 3, [change(7), change(8)], 0))
    assert talk.commits == [7, 8]
    assert talk.go_on().asked == [ReadLog(8)]
    talk.do(talk.session.log_read(EPOCH, 3, [change(9), change(10), change(11)], 0))
    assert talk.asked[-1] == Leave()
    assert talk.go_on().commits == list(range(7, 21))
    assert talk.session.state is State.LIVE


@pytest.mark.parametrize(
    ("first_kept", "numbers"),
    [(8, [8]), (3, []), (3, [8]), (3, [7, 9])],
    ids=["pruned", "none", "gap", "hole"],
)
def test_a_log_that_does_not_go_on_ends_the_stream_and_skips_nothing(
    first_kept: int, numbers: list[int]
) -> None:
    talk = Talk().hello(have(6))
    talk.do(talk.session.admitted(0)).go_on()
    talk.do(talk.session.log_read(EPOCH, first_kept, [change(one) for one in numbers], 0))
    assert talk.commits == []
    talk.ended(f.TOO_SLOW)


def test_a_log_that_cannot_be_encoded_sends_the_host_away() -> None:
    talk = Talk().hello(have(6))
    talk.do(talk.session.admitted(0)).go_on()
    talk.do(talk.session.log_read(EPOCH, 3, [change(7, b"\xc1", "catalog")], 0))
    talk.ended(f.BUSY)


@pytest.mark.parametrize(
    "known",
    [None, have(20, epoch=EPOCH + 1), have(15, digest=1), have(4)],
    ids=["nothing", "other epoch", "other digest", "before the log"],
)
def test_a_full_transfer_is_a_snapshot_in_pieces_and_what_came_after_it(known: Have | None) -> None:
    talk = Talk().hello(known)
    assert Enter(s.TRANSFER_COST) in talk.asked
    talk.do(talk.session.admitted(0))
    assert talk.asked[-1] == OpenSnapshot()
    assert talk.session.go_on(0) == ()
    size = s.PIECE_BYTES + 5
    talk.do(talk.session.snapshot_opened(Snapshot(EPOCH, 18, 18_000, 3, size, 99), 0))
    assert talk.take(Intent) == Intent(FULL, EPOCH, 18, 20, 0, 1_000, 3, size)
    assert talk.go_on().take(ReadPiece) == ReadPiece(0, s.PIECE_BYTES)
    assert talk.session.go_on(0) == ()
    talk.do(talk.session.piece_read(0, bytes(s.PIECE_BYTES), 0))
    assert talk.take(Piece) == Piece(0, bytes(s.PIECE_BYTES))
    assert talk.go_on().take(ReadPiece) == ReadPiece(s.PIECE_BYTES, 5)
    talk.do(talk.session.piece_read(s.PIECE_BYTES, b"last!", 0))
    assert talk.asked == [Leave()]
    assert talk.sent == [Piece(s.PIECE_BYTES, b"last!"), Commit(EPOCH, 18, 18_000, 99)]
    assert talk.go_on().commits == [18, 19, 20]


def test_a_full_transfer_is_counted_with_its_reason() -> None:
    def told(known: Have | None) -> list[str]:
        return [one.what for one in Talk().hello(known).asked if isinstance(one, Tell)]

    assert told(None) == ["full"]
    assert told(have(15, digest=1)) == ["digest", "full"]
    assert told(have(15)) == []


def test_a_snapshot_ahead_of_the_ring_waits_for_the_ring() -> None:
    talk = Talk().hello()
    talk.do(talk.session.admitted(0))
    talk.do(talk.session.snapshot_opened(Snapshot(EPOCH, 25, 25_000, 0, 1, 0), 0)).go_on()
    talk.do(talk.session.piece_read(0, b"x", 0)).go_on()
    for seq in range(21, 27):
        talk.ring.append(change(seq))
        talk.go_on()
    assert talk.commits == [25, 26]


def test_a_host_on_demand_gets_an_empty_snapshot_with_the_catalog_and_compares_no_digest() -> None:
    talk = Talk().hello(None, ON_DEMAND)
    assert talk.sent == [
        Intent(FULL, EPOCH, 20, 20, 0, 1_000),
        CatalogPart("c.yaml", 11, 0, b"the catalog"),
        Commit(EPOCH, 20, 20_000, 0),
    ]
    assert not any(isinstance(one, Enter) for one in talk.asked)
    assert Talk().hello(have(20, digest=1), ON_DEMAND).take(Intent).kind == NONE


# A host that is ahead of this hub, a hub that knows nothing.


def test_a_host_ahead_of_this_hub_waits_for_one_look_at_the_ledger() -> None:
    talk = Talk().hello(have(22))
    assert talk.take(Look) == Look()
    talk.ring.append(change(21))
    talk.ring.append(change(22))
    assert talk.do(talk.session.looked(0)).take(Intent).kind == NONE
    assert talk.session.looked(0) == ()


def test_a_host_ahead_of_the_ledger_is_told_of_and_gets_everything() -> None:
    talk = Talk().hello(have(22))
    talk.do(talk.session.looked(0))
    assert [one.what for one in talk.asked if isinstance(one, Tell)] == ["ahead", "full"]
    assert talk.asked[-1] == Enter(s.TRANSFER_COST)


def test_a_hub_that_cannot_read_its_ledger_looks_once_and_sends_the_host_away() -> None:
    talk = Talk(Ring()).hello()
    assert talk.asked[-1] == Look()
    talk.do(talk.session.looked(0))
    assert talk.ended(f.BUSY).retry_after_ms == 2 * s.RETRY_MS


def test_a_hub_without_a_catalog_sends_hosts_away() -> None:
    ring = a_ring()
    ring.catalog = None
    assert "no catalog" in Talk(ring).hello().ended(f.BUSY).detail


# Places.


def test_a_host_without_a_place_is_told_when_to_come_again() -> None:
    talk = Talk().hello()
    talk.do(talk.session.turned_away(1_234))
    assert talk.ended(f.BUSY).retry_after_ms == 1_234


def test_a_place_that_comes_too_late_is_given_back() -> None:
    talk = Talk().hello()
    talk.session.end("", "", 0)
    assert list(talk.session.admitted(0)) == [Leave()]
    assert list(talk.session.snapshot_opened(Snapshot(EPOCH, 1, 1, 1, 1, 1), 0)) == [Leave()]


def test_what_was_read_for_a_stream_that_has_ended_is_dropped() -> None:
    talk = Talk().hello(have(6))
    talk.do(talk.session.admitted(0)).go_on()
    talk.session.end("", "", 0)
    assert talk.session.log_read(EPOCH, 1, [change(7)], 0) == ()
    assert talk.session.piece_read(0, b"x", 0) == ()
    assert talk.session.found(FoundRecords(EPOCH, 1, (), b"")) == ()
    assert talk.session.failed("no") == ()
    assert talk.session.go_on(0) == ()
    assert talk.session.tick(10**9) == ()
    assert talk.session.receive(encode(Ack(1, 1)), 0) == ()
    assert talk.session.end("", "", 0) == ()


def test_a_snapshot_of_another_epoch_or_shorter_than_it_was_ends_the_stream() -> None:
    other = Talk().hello()
    other.do(other.session.admitted(0))
    other.do(other.session.snapshot_opened(Snapshot(EPOCH + 1, 18, 1, 3, 5, 0), 0)).ended(f.EPOCH)
    shorter = Talk().hello()
    shorter.do(shorter.session.admitted(0))
    shorter.do(shorter.session.snapshot_opened(Snapshot(EPOCH, 18, 1, 3, 5, 0), 0)).go_on()
    shorter.do(shorter.session.piece_read(0, b"", 0)).ended(f.BUSY)


def test_a_read_that_fails_sends_the_host_away() -> None:
    talk = Talk().hello(have(6))
    talk.do(talk.session.admitted(0)).go_on()
    talk.do(talk.session.failed("the ledger does not answer"))
    assert talk.ended(f.BUSY).detail == "the ledger does not answer"


# Slow hosts.


def test_a_host_that_takes_nothing_is_given_nothing_and_goes_on_where_it_was() -> None:
    talk = live()
    talk.session.writable = False
    talk.ring.append(change(21))
    talk.ring.append(change(22))
    assert talk.session.go_on(0) == ()
    talk.session.writable = True
    assert talk.go_on().commits == [21, 22]


def slow(log_first: int) -> Talk:
    """A host whose cursor has fallen off the ring."""
    ring = Ring(changes_max=2)
    ring.begin(EPOCH, 20, 20_000, CATALOG)
    talk = live(ring=ring)
    for seq in range(21, 26):
        ring.append(change(seq))
    ring.log_first = log_first
    return talk


def test_a_host_that_fell_off_the_ring_goes_on_from_the_log_under_the_same_intent() -> None:
    talk = slow(log_first=20).go_on()
    assert talk.take(Enter) == Enter(s.LOG_COST)
    talk.do(talk.session.admitted(0)).go_on()
    assert talk.take(ReadLog) == ReadLog(20)
    talk.do(talk.session.log_read(EPOCH, 21, [change(one) for one in range(21, 24)], 0))
    assert talk.go_on().commits == [21, 22, 23, 24, 25]
    assert not any(isinstance(one, Intent) for one in talk.sent)


def test_a_host_that_fell_off_ring_and_log_is_too_slow() -> None:
    slow(log_first=21).go_on().ended(f.TOO_SLOW)


def test_a_transfer_of_which_nothing_is_taken_ends() -> None:
    talk = Talk().hello(have(6))
    talk.do(talk.session.admitted(1_000))
    assert talk.session.tick(4_999) == ()
    talk.do(talk.session.tick(5_000)).ended(f.TOO_SLOW)


# Heartbeats, acks, nacks.


def test_a_heartbeat_names_what_was_sent_and_nothing_later() -> None:
    talk = live()
    talk.ring.append(change(21))
    talk.session.writable = False
    assert talk.session.tick(1_000) == ()
    talk.session.writable = True
    assert talk.do(talk.session.tick(1_000)).take(Heartbeat) == Heartbeat(1_000, EPOCH, 20, 20_000)
    talk.go_on().sent.clear()
    assert talk.do(talk.session.tick(2_000)).take(Heartbeat) == Heartbeat(2_000, EPOCH, 21, 21_000)


def test_a_host_that_answers_no_heartbeat_is_idle_and_one_that_answers_is_not() -> None:
    quiet, lively = live(), live()
    for beat in range(3):
        quiet.do(quiet.session.tick(beat * 1_000))
    for beat in range(50):
        lively.do(lively.session.tick(beat * 1_000)).say(Ack(20, 20_000))
    assert lively.session.acked == 20
    assert not lively.session.closed
    quiet.do(quiet.session.tick(3_000)).ended(f.IDLE)


def test_a_host_may_load_a_snapshot_for_longer_than_three_heartbeats() -> None:
    talk = Talk().hello()
    talk.do(talk.session.admitted(0))
    talk.do(talk.session.snapshot_opened(Snapshot(EPOCH, 20, 20_000, 0, 1, 0), 0)).go_on()
    talk.do(talk.session.piece_read(0, b"x", 0)).go_on()
    for beat in range(1, 60):
        talk.do(talk.session.tick(beat * 1_000))
    assert not talk.session.closed
    talk.do(talk.session.tick(60_000)).ended(f.IDLE)


def test_an_ack_of_another_digest_is_counted() -> None:
    talk = live()
    assert talk.say(Ack(20, 20_000)).asked == []
    assert talk.say(Ack(20, 1)).take(Tell).what == "digest"
    assert talk.say(Ack(5, 1)).asked == []  # So old that nobody knows.
    assert live(ON_DEMAND).say(Ack(20, 1)).asked == []
    talk.ring.begin(EPOCH + 1, 20, 5, CATALOG)
    assert talk.say(Ack(20, 1)).asked == []


def test_a_nack_is_told_and_the_stream_ends_without_a_goodbye() -> None:
    talk = live().say(Nack(21, f.REFUSED, "no such plan"))
    assert talk.sent == []
    assert talk.asked == [Tell("nack", "refused at 21: no such plan"), Leave(), End("")]
    assert talk.session.closed


def test_after_the_end_the_rest_of_a_message_is_not_read() -> None:
    talk = live().say(Ack(99, 1), Nack(21, f.REFUSED, ""))
    talk.ended(f.UNEXPECTED)
    assert not any(isinstance(one, Tell) for one in talk.asked)


@pytest.mark.parametrize("said", [one for one in FROM_HOST.values() if type(one) is not Hello])
@pytest.mark.parametrize("greeted", [False, True])
def test_nothing_is_expected_before_the_intent(said: FromHost, greeted: bool) -> None:
    talk = Talk()
    if greeted:
        talk.hello()
    talk.say(said).ended(f.UNEXPECTED)


@pytest.mark.parametrize("said", FROM_HOST.values())
@pytest.mark.parametrize("mode", [ALL, ON_DEMAND])
def test_every_frame_of_a_host_is_taken_or_refused(said: FromHost, mode: int) -> None:
    talk = live(mode).say(said)
    assert not talk.session.closed or talk.asked


def test_a_second_hello_an_ack_of_the_future_and_a_question_of_a_full_host_are_unexpected() -> None:
    live().hello(have(20)).ended(f.UNEXPECTED)
    live().say(Ack(21, 1)).ended(f.UNEXPECTED)
    live().say(Want(1, ("a",))).ended(f.UNEXPECTED)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xc1", f.MALFORMED),
        (encode(Heartbeat(1, 1, 1, 1)), f.UNKNOWN_FRAME),
        (pack([9, 1]), f.VERSION_UNKNOWN),
        (bytes(f.HOST_MESSAGE_BYTES_MAX + 1), f.TOO_LARGE),
    ],
)
def test_a_message_that_is_not_as_it_must_be_ends_the_stream_with_the_reason(
    message: bytes, code: str
) -> None:
    talk = live()
    talk.do(talk.session.receive(message, 0))
    assert talk.ended(code).detail


# On demand.


def test_questions_are_answered_one_after_the_other_beside_the_changes() -> None:
    talk = live(ON_DEMAND).say(Want(1, ("a", "b")), Want(5, ("c",)))
    assert talk.session.open_wants == 2
    assert talk.go_on().take(Find) == Find(("a", "b"))
    assert talk.session.go_on(0) == ()
    talk.ring.append(change(21))
    assert talk.go_on().commits == [21]
    talk.do(talk.session.found(FoundRecords(EPOCH, 21, ("b",), record(1))))
    assert talk.take(Found) == Found(1, 21, ("b",), record(1))
    assert talk.go_on().take(Find) == Find(("c",))
    talk.do(talk.session.found(FoundRecords(EPOCH, 22, ("c",), b"")))
    assert talk.take(Found) == Found(5, 22, ("c",), b"")
    assert talk.go_on().asked == []
    assert talk.session.open_wants == 0


def test_a_question_is_answered_while_the_log_is_read() -> None:
    talk = Talk().hello(have(6), ON_DEMAND)
    talk.do(talk.session.admitted(0)).go_on().say(Want(1, ("a",)))
    talk.asked.clear()
    assert talk.go_on().asked == [Find(("a",))]


def test_questions_that_are_too_many_or_not_in_order_end_the_stream() -> None:
    talk = live(ON_DEMAND)
    for id in range(f.WANTS_KEPT_MAX):
        talk.say(Want(id, ("a",)))
    talk.say(Want(999, ("a",))).ended(f.UNEXPECTED)
    live(ON_DEMAND).say(Want(3, ("a",)), Want(3, ("a",))).ended(f.MALFORMED)


def test_a_hub_keeps_as_many_questions_as_a_host_asks() -> None:
    assert WANTS_ASKED_MAX <= f.WANTS_KEPT_MAX


def test_an_answer_of_another_epoch_or_too_large_ends_the_stream() -> None:
    other = live(ON_DEMAND).say(Want(1, ("a",))).go_on()
    other.do(other.session.found(FoundRecords(EPOCH + 1, 1, (), b""))).ended(f.EPOCH)
    large = live(ON_DEMAND).say(Want(1, ("a",))).go_on()
    large.do(large.session.found(FoundRecords(EPOCH, 1, (), bytes(f.RECORDS_BYTES_MAX + 1)))).ended(
        f.TOO_LARGE
    )


# The end.


def test_another_epoch_ends_every_stream_at_an_instant_of_its_own() -> None:
    talk = live()
    talk.ring.begin(EPOCH + 1, 3, 0, CATALOG)
    assert talk.go_on().ended(f.EPOCH).retry_after_ms == s.RETRY_MS
    reading = Talk().hello(have(6))
    reading.do(reading.session.admitted(0)).go_on()
    reading.do(reading.session.log_read(EPOCH + 1, 1, [], 0)).ended(f.EPOCH)


def test_who_says_no_hello_or_waits_too_long_is_sent_away() -> None:
    silent = Talk()
    assert silent.session.tick(1_999) == ()
    silent.do(silent.session.tick(2_000)).ended(f.IDLE)
    waiting = Talk().hello()
    assert waiting.session.tick(2_999) == ()
    waiting.do(waiting.session.tick(3_000)).ended(f.BUSY)


def test_a_long_detail_is_cut_at_a_character() -> None:
    talk = live()
    talk.do(talk.session.end(f.DRAIN, "é" * 2_000, 7))
    assert talk.ended(f.DRAIN).detail == "é" * 512


# A law.


@given(st.lists(st.sampled_from(["append", "block", "free", "read", "tick", "ack", "prune"]), max_size=60))
def test_commits_have_no_gap_whatever_happens_in_between(steps: list[str]) -> None:
    """The log has everything; the ring has two changes; the transport takes and refuses at will."""
    ring = Ring(changes_max=2)
    ring.begin(EPOCH, 20, 20_000, CATALOG)
    ring.log_first = 20
    log = []
    talk = live(ring=ring)
    for now, step in enumerate(steps):
        if step == "append":
            log.append(change(ring.seq + 1))
            ring.append(log[-1])
        elif step in ("block", "free"):
            talk.session.writable = step == "free"
        elif step == "tick":
            talk.do(talk.session.tick(now))
        elif step == "ack":
            talk.say(Ack(talk.session.seq, talk.session.seq * 1_000))
        elif step == "prune":
            ring.log_first = max(ring.log_first, ring.seq - 4)
        talk.go_on(now)
        if step == "read":
            for asked in talk.asked:
                if isinstance(asked, Enter):
                    talk.do(talk.session.admitted(now)).go_on(now)
            for asked in talk.asked:
                if isinstance(asked, ReadLog):
                    kept = [one for one in log if one.seq > ring.log_first]
                    part = [one for one in kept if one.seq > asked.seq][:2]
                    talk.do(talk.session.log_read(EPOCH, ring.log_first + 1, part, now))
            talk.asked.clear()
            talk.go_on(now)
    assert talk.commits == list(range(21, 21 + len(talk.commits)))
    if not talk.session.closed:
        assert talk.session.seq == 20 + len(talk.commits)
        assert [one.digest for one in talk.sent if isinstance(one, Heartbeat)] == [
            one.seq * 1_000 for one in talk.sent if isinstance(one, Heartbeat)
        ]
