"""The hub's stream over real sockets: uvicorn, our protocol, a ledger in memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from fastcheck.hub.stream.admission import Admission, Entered
from fastcheck.hub.stream.connection import HIGH_WATER_BYTES
from fastcheck.hub.stream.session import PIECE_BYTES, State, Times
from fastcheck.hub.stream.snapshot_files import File
from fastcheck.wire import frames as f
from fastcheck.wire.frames import (
    ALL,
    DELTA,
    FULL,
    NONE,
    ON_DEMAND,
    Ack,
    Commit,
    Found,
    Have,
    Hello,
    Intent,
    Nack,
    Piece,
    Records,
    Want,
    encode,
)
from rig.stream_ledger import EPOCH, NOW_MS, MemoryLedger, record
from rig.stream_rig import Host, Server, serving, wait_until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.put_catalog()
    for number in range(5):
        ledger.put(record(number))
    return ledger


@pytest.fixture
def server(tmp_path: Path, ledger: MemoryLedger) -> Iterator[Server]:
    with serving(tmp_path, ledger) as server:
        yield server


@pytest.fixture
def token(ledger: MemoryLedger) -> str:
    return ledger.make_token("stream")


def have(ledger: MemoryLedger) -> Have:
    return Have(ledger.epoch, ledger.seq, ledger.digest)


class RawHost:
    """A host that reads nothing unless it is told to."""

    def __init__(self, server: Server, token: str, path: str = "/v1/stream", key: str = KEY) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", server.port))
        request = (
            f"GET {path} HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        self.answer = self._until(b"\r\n\r\n")

    def _until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            part = self.socket.recv(1)
            if not part:
                break
            data += part
        return data

    def say(self, *frames: Any) -> None:
        self.send(b"".join(map(encode, frames)))

    def send(self, data: bytes, opcode: Opcode = Opcode.BINARY, fin: bool = True) -> None:
        self.socket.sendall(Frame(opcode, data, fin).serialize(mask=True))

    def rest(self) -> bytes:
        """Everything until the hub's close frame, or its end."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data[-4:-2] != b"\x88\x02" and (part := self.socket.recv(1 << 16)):
                data += part
        self.socket.close()
        return bytes(data)


# The handshake.


@pytest.mark.parametrize(
    ("make", "status", "detail"),
    [
        (lambda ledger: "", 401, "no token"),
        (lambda ledger: "fc_live_0000000000000000_nobody", 401, "unknown"),
        (lambda ledger: "x" * 2_000, 401, "malformed"),
        (lambda ledger: ledger.make_token("stream", expires_at=NOW_MS - 1), 401, "expired"),
        (lambda ledger: ledger.make_token("spend", "support"), 403, "stream"),
    ],
    ids=["none", "unknown", "malformed", "expired", "scope"],
)
def test_a_connection_that_may_not_stream_is_told_why_and_noted(
    server: Server, ledger: MemoryLedger, make: Any, status: int, detail: str
) -> None:
    text = make(ledger)
    for _ in range(2):  # The second is refused from memory.
        with pytest.raises(InvalidStatus) as refused:
            Host(server, text)
        response = refused.value.response
        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(response.body or b"")
        assert problem["status"] == status
        assert detail in problem["detail"]
        assert text == "" or text not in problem["detail"]
    wait_until(lambda: len(ledger.denied) == 2)
    source, author, subject, reason = ledger.denied[0]
    assert (source, subject) == ("127.0.0.1", "GET /v1/stream")
    assert detail in reason
    assert (author != "") == (status == 403)


def test_there_is_a_stream_at_one_path_only_and_only_for_websockets(server: Server, token: str) -> None:
    assert RawHost(server, token, path="/v1/streams").answer.startswith(b"HTTP/1.1 404")
    assert RawHost(server, token, key="short").answer.startswith(b"HTTP/1.1 400")
    assert httpx.get(f"{server.url}/v1/stream").status_code == 404
    assert server.hub.streams.sessions() == []


def test_two_authorization_headers_are_refused(server: Server, token: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(
            b"GET /v1/stream HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n".encode()
            + f"Authorization: Bearer {token}\r\nAuthorization: Bearer other\r\n\r\n".encode()
        )
        assert connection.recv(4_096).startswith(b"HTTP/1.1 400")


def test_a_token_that_cannot_be_looked_up_is_not_let_in(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    ledger.failing = True
    with pytest.raises(InvalidStatus) as refused:
        Host(server, token)
    assert refused.value.response.status_code == 503
    assert "Retry-After" in refused.value.response.headers


def test_a_token_opens_as_many_streams_as_its_rate_allows(server: Server, ledger: MemoryLedger) -> None:
    slow = ledger.make_token("stream", rate_per_s=1)
    hosts = [Host(server, slow), Host(server, slow)]
    with pytest.raises(InvalidStatus) as refused:
        Host(server, slow)
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    for host in hosts:
        host.close()


# What flows.


def test_a_new_host_gets_everything_and_then_each_change_as_it_is_committed(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    host = Host(server, token).hello()
    intent = host.until(Intent)
    assert (intent.kind, intent.epoch, intent.seq_to, intent.customers) == (FULL, EPOCH, 6, 5)
    piece = host.until(Piece)
    assert len(piece.data) == intent.snapshot_bytes
    assert b"catalog: 1" in piece.data
    assert host.until(Commit) == Commit(EPOCH, 6, ledger.digest, NOW_MS)
    host.say(Ack(6, ledger.digest))
    seq = ledger.put(record(9))
    assert host.until(Records).data == record(9)
    assert host.until(Commit) == Commit(EPOCH, seq, ledger.digest, NOW_MS)
    host.close()


def test_the_event_loop_of_the_standard_library_does_as_well(
    tmp_path: Path, ledger: MemoryLedger, token: str
) -> None:
    with serving(tmp_path, ledger, loop="asyncio") as server:
        host = Host(server, token).hello()
        assert host.until(Intent).kind == FULL
        assert host.until(Commit).seq == ledger.seq
        ledger.put(record(9))
        assert host.until(Commit).seq == ledger.seq
        host.connection.close()
        wait_until(lambda: server.hub.streams.connections == 0)


def test_every_host_is_sent_the_same_change(server: Server, ledger: MemoryLedger, token: str) -> None:
    hosts = [Host(server, token).hello(f"host {number}", have(ledger)) for number in range(20)]
    assert {host.until(Intent).kind for host in hosts} == {NONE}
    seq = ledger.put(record(7), record(8))
    assert {host.until(Commit).seq for host in hosts} == {seq}
    for host in hosts:
        host.close()


def test_a_host_that_comes_back_goes_on_where_it_was(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    known = have(ledger)
    for number in range(10, 15):
        ledger.put(record(number))
    ledger.put_catalog(b"catalog: 2")
    wait_until(lambda: server.hub.ring.seq == ledger.seq)
    host = Host(server, token).hello("host", known)
    assert host.until(Intent).kind == DELTA
    assert [host.until(Commit).seq for _ in range(6)] == list(range(7, 13))
    host.close()


def test_what_fell_off_the_ring_comes_from_the_log(tmp_path: Path, ledger: MemoryLedger, token: str) -> None:
    known = have(ledger)
    with serving(tmp_path, ledger) as server:
        for number in range(40):
            ledger.put(record(number, size=60_000))
        wait_until(lambda: server.hub.ring.seq == ledger.seq)
        server.call(lambda: [server.hub.ring._drop() for _ in range(30)])
        host = Host(server, token).hello("host", known)
        assert host.until(Intent).kind == DELTA
        assert [host.until(Commit).seq for _ in range(40)] == list(range(7, 47))
        wait_until(lambda: server.hub.streams.admission.transfers == 0)
        host.close()


def test_a_large_snapshot_comes_in_pieces_and_its_file_is_given_back(
    tmp_path: Path, ledger: MemoryLedger, token: str
) -> None:
    for number in range(100):
        ledger.put(record(number, size=20_000))
    with serving(tmp_path, ledger) as server:
        host = Host(server, token).hello()
        intent = host.until(Intent)
        assert intent.snapshot_bytes > 4 * PIECE_BYTES
        received = b""
        while len(received) < intent.snapshot_bytes:
            piece = host.until(Piece)
            assert piece.offset == len(received)
            received += piece.data
        assert host.until(Commit).seq == ledger.seq
        newest = server.hub.spool.newest
        assert newest is not None
        assert received == newest.path.read_bytes()
        wait_until(lambda: newest.readers == 0 and server.hub.streams.admission.transfers == 0)
        host.close()


def test_customers_are_found_on_demand(server: Server, ledger: MemoryLedger, token: str) -> None:
    host = Host(server, token).hello("host", None, ON_DEMAND)
    assert host.until(Intent).snapshot_bytes == 0
    assert host.until(Commit).seq == ledger.seq
    wants = [Want(number, (f"customer {number % 7}", "nobody")) for number in range(30)]
    for want in wants:
        host.say(want)
    for want in wants:
        found = host.until(Found)
        assert found.id == want.id
        assert "nobody" in found.missing
        assert found.data == ledger.records.get(want.keys[0], b"")
    host.close()


# Slow, silent and twice.


def test_a_slow_reader_holds_a_cursor_and_nobody_else_up(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    slow, quick = RawHost(server, token), Host(server, token)
    slow.say(Hello("slow", 1, have(ledger), ALL))
    quick.hello("quick", have(ledger))
    wait_until(lambda: len(server.hub.streams.sessions()) == 2)
    waits = []
    for number in range(60):
        began = time.perf_counter()
        seq = ledger.put(record(number, size=200_000))
        assert quick.until(Commit).seq == seq
        waits.append(time.perf_counter() - began)
    [session] = [one for one in server.hub.streams.sessions() if one.host == "slow"]
    assert not session.writable
    assert session.seq < ledger.seq
    [stream] = [one for one in server.hub.streams._open if one.host == "slow"]
    # The transport holds its high water and one change more; the rest is in the kernel.
    assert stream._transport.get_write_buffer_size() <= HIGH_WATER_BYTES + 250_000
    assert sorted(waits)[len(waits) // 2] < 0.5
    reader = threading.Thread(target=slow.rest)
    reader.start()
    wait_until(lambda: session.seq == ledger.seq)
    slow.socket.shutdown(socket.SHUT_RDWR)
    reader.join()
    quick.close()


def test_a_slow_reader_that_fell_off_ring_and_log_is_told_so(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    slow = RawHost(server, token)
    slow.say(Hello("slow", 1, have(ledger), ALL))
    wait_until(lambda: len(server.hub.streams.sessions()) == 1)
    [session] = server.hub.streams.sessions()
    while session.writable:
        ledger.put(record(1, size=200_000))
        wait_until(lambda: server.hub.ring.seq == ledger.seq)
    ledger.put(record(1))
    ledger.forget(ledger.seq + 1)
    wait_until(lambda: server.hub.ring.log_first == ledger.seq)
    ring = server.hub.ring
    server.call(lambda: [ring._drop() for _ in range(ring.first, ring.seq)])
    assert b"too_slow" in slow.rest()[-300:]


def test_the_same_host_again_replaces_its_older_connection(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    older = Host(server, token).hello("host", have(ledger))
    older.until(Intent)
    newer = Host(server, token).hello("host", have(ledger))
    assert older.goodbye().code == f.REPLACED
    assert newer.until(Intent).kind == NONE
    ledger.put(record(9))
    assert newer.until(Commit).seq == ledger.seq
    with pytest.raises(ConnectionClosed):
        older.connection.recv(10)
    wait_until(lambda: server.hub.streams.connections == 1)
    newer.close()


def test_a_host_that_answers_no_heartbeat_goes(tmp_path: Path, ledger: MemoryLedger, token: str) -> None:
    with serving(tmp_path, ledger, Times(heartbeat_ms=40)) as server:
        host = Host(server, token).hello("host", have(ledger))
        assert host.goodbye().code == f.IDLE
        silent = Host(server, token)  # It says nothing at all; the clock stands still, so it may.
        wait_until(lambda: len(server.hub.streams.sessions()) == 1)
        silent.close()
        wait_until(lambda: server.hub.streams.connections == 0)


# What is refused in a stream.


@pytest.mark.parametrize(
    ("send", "code", "close_code"),
    [
        (lambda host: host.send(b"\xc1"), f.MALFORMED, 1000),
        (lambda host: host.send(b"no msgpack", Opcode.TEXT), f.MALFORMED, 1003),
        (lambda host: host.send(bytes(f.HOST_MESSAGE_BYTES_MAX + 1)), f.TOO_LARGE, 1009),
        (lambda host: host.socket.sendall(b"\x82\x01x"), f.MALFORMED, 1002),
        (lambda host: host.say(Ack(10**6, 1)), f.UNEXPECTED, 1000),
        (lambda host: host.say(Hello("again", 1, None, ALL)), f.UNEXPECTED, 1000),
        (lambda host: host.send(b"\x93" * 1_000), f.MALFORMED, 1000),
    ],
    ids=["no msgpack", "text", "oversize", "unmasked", "ack", "hello", "depth bomb"],
)
def test_a_host_that_breaks_the_rules_is_told_and_nobody_else_notices(
    server: Server, ledger: MemoryLedger, token: str, send: Any, code: str, close_code: int
) -> None:
    other = Host(server, token).hello("other", have(ledger))
    host = RawHost(server, token)
    host.say(Hello("host", 1, have(ledger), ALL))
    wait_until(lambda: len(server.hub.streams.sessions()) == 2)
    send(host)
    rest = host.rest()
    assert code.encode() in rest
    assert rest.endswith(b"\x88\x02" + close_code.to_bytes(2, "big"))
    ledger.put(record(9))
    assert other.until(Commit).seq == ledger.seq
    other.close()


def test_a_message_in_fragments_with_pings_between_is_one_message(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    host, hello = RawHost(server, token), encode(Hello("host", 1, have(ledger), ALL))
    host.send(hello[:5], fin=False)
    host.send(b"are you there?", Opcode.PING)
    host.send(hello[5:], Opcode.CONT)
    host.send(b"\x03\xe9", Opcode.CLOSE)
    rest = host.rest()
    assert b"\x8a\x0eare you there?" in rest
    assert rest.endswith(b"\x88\x02\x03\xe9")
    wait_until(lambda: server.hub.streams.connections == 0)


def test_a_refusal_of_a_host_is_counted_by_its_code(server: Server, ledger: MemoryLedger, token: str) -> None:
    for code in ("digest", "digest", "made up"):
        host = Host(server, token).hello("host", have(ledger))
        host.until(Intent)
        host.say(Nack(6, code, "because"))
        with pytest.raises(ConnectionClosed):
            host.next()
    text = httpx.get(f"{server.url}/metrics").text
    assert 'fastcheck_hub_nacks_total{code="digest"} 2.0' in text
    assert 'fastcheck_hub_nacks_total{code="other"} 1.0' in text


def test_a_host_that_hangs_up_in_a_transfer_leaves_nothing_behind(
    tmp_path: Path, ledger: MemoryLedger, token: str
) -> None:
    for number in range(100):
        ledger.put(record(number, size=200_000))
    with serving(tmp_path, ledger) as server:
        host = RawHost(server, token)
        host.say(Hello("host", 1, None, ALL))
        wait_until(lambda: server.hub.streams.admission.transfers == 1)
        newest = server.hub.spool.newest
        wait_until(lambda: (file := server.hub.spool.newest) is not None and file.readers == 1)
        host.socket.close()
        wait_until(lambda: server.hub.streams.connections == 0)
        newest = server.hub.spool.newest
        assert newest is not None
        assert (newest.readers, server.hub.streams.admission.transfers) == (0, 0)


# What happens to the hub.


def test_a_token_that_is_revoked_ends_its_streams_within_about_a_second(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    other = Host(server, ledger.make_token("stream")).hello("other", have(ledger))
    host = Host(server, token).hello("host", have(ledger))
    host.until(Intent)
    ledger.revoke(token)
    goodbye = host.goodbye()
    assert goodbye.code == f.REVOKED
    assert "revoked" in goodbye.detail
    with pytest.raises(InvalidStatus) as refused:
        Host(server, token)
    assert refused.value.response.status_code == 401
    ledger.put(record(9))
    assert other.until(Commit).seq == ledger.seq
    other.close()


def test_another_epoch_sends_every_host_away_and_the_next_transfer_is_a_full_one(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    known = have(ledger)
    host = Host(server, token).hello("host", known)
    host.until(Intent)
    ledger.new_epoch()
    assert host.goodbye().code == f.EPOCH
    host = Host(server, token).hello("host", known)
    intent = host.until(Intent)
    assert (intent.kind, intent.epoch) == (FULL, ledger.epoch)
    host.close()


def test_a_ledger_put_back_from_a_backup_is_noticed_by_a_host_that_is_ahead(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    host = Host(server, token).hello("host", Have(EPOCH, ledger.seq + 10, 1))
    assert host.until(Intent).kind == FULL
    assert "fastcheck_hub_hosts_ahead_total 1.0" in httpx.get(f"{server.url}/metrics").text
    host.close()


def test_a_hole_in_the_log_starts_every_host_anew_and_skips_nothing(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    known = have(ledger)
    host = Host(server, token).hello("host", known)
    host.until(Intent)
    with ledger.lock:
        ledger.seq += 1  # A change that nobody finds in the log.
        ledger.put(record(9))
    assert host.goodbye().code == f.TOO_SLOW
    again = Host(server, token).hello("host", known)
    assert again.until(Intent).kind == FULL
    assert again.until(Commit).seq == ledger.seq
    again.close()


def test_while_the_ledger_does_not_answer_hosts_stay_and_the_hub_says_that_it_is_not_ready(
    server: Server, ledger: MemoryLedger, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(server, token).hello("host", have(ledger))
    host.until(Intent)
    assert httpx.get(f"{server.url}/readyz").json()["problems"] == []
    monkeypatch.setattr("fastcheck.hub.http.health.TAIL_LAG_S_MAX", 0.3)
    ledger.failing = True
    wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
    assert "last read" in httpx.get(f"{server.url}/readyz").text
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    ledger.failing = False
    wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
    ledger.put(record(9))
    assert host.until(Commit).seq == ledger.seq
    host.close()


def test_a_drain_sends_hosts_away_one_after_the_other_and_takes_no_new_ones(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    hosts = [Host(server, token).hello(f"host {number}", have(ledger)) for number in range(8)]
    for host in hosts:
        host.until(Intent)
    server.begin(server.hub.streams.drain(0.4))
    goodbyes = [host.goodbye() for host in hosts]
    assert {one.code for one in goodbyes} == {f.DRAIN}
    assert len({one.retry_after_ms for one in goodbyes}) > 1
    readiness = httpx.get(f"{server.url}/readyz")
    assert readiness.status_code == 503
    assert "going away" in readiness.text
    with pytest.raises(InvalidStatus) as refused:
        Host(server, token)
    assert refused.value.response.status_code == 503
    wait_until(lambda: server.hub.streams.connections == 0)


def test_a_hub_without_a_catalog_is_not_ready_until_there_is_one(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    token = ledger.make_token("stream")
    with serving(tmp_path, ledger) as server:
        assert "no catalog" in httpx.get(f"{server.url}/readyz").text
        assert Host(server, token).hello().goodbye().code == f.BUSY
        ledger.put_catalog()
        wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
        host = Host(server, token).hello()
        assert host.until(Intent).kind == FULL
        host.close()


def test_a_snapshot_that_cannot_be_made_sends_new_hosts_away_and_shows(
    tmp_path: Path, ledger: MemoryLedger, token: str
) -> None:
    ledger.put(record(99, size=20_000))
    with serving(tmp_path, ledger) as server:
        host = Host(server, token).hello("one", have(ledger))
        host.until(Intent)
        spool = tmp_path / "spool"
        wait_until(lambda: server.hub.spool.newest is not None)

        def lose() -> None:
            file = server.hub.spool._newest
            assert isinstance(file, File)
            server.hub.spool._newest = None
            server.hub.spool._next_build_s = 0.0
            server.hub.spool._directory = tmp_path / "nowhere"

        server.call(lose)
        assert Host(server, token).hello("two").goodbye().code == f.BUSY
        assert "no snapshot" in httpx.get(f"{server.url}/readyz").text
        ledger.put(record(9))
        assert host.until(Commit).seq == ledger.seq
        assert spool.exists()
        host.close()


def test_a_herd_is_served_in_order_and_every_host_becomes_current(
    tmp_path: Path, ledger: MemoryLedger, token: str
) -> None:
    """200 hosts that have nothing, three places for them, and a line of eight."""
    with serving(tmp_path, ledger) as server:
        server.hub.streams.admission = Admission(places=3, waiting_max=8)
        refusals: list[int] = []
        current: list[str] = []

        def one(number: int) -> None:
            for _ in range(100):
                host = Host(server, token).hello(f"host {number}")
                frame = host.next()
                if isinstance(frame, Intent):
                    host.until(Commit)
                    current.append(f"host {number}")
                    host.close()
                    return
                assert isinstance(frame, f.Goodbye)
                assert frame.code == f.BUSY
                refusals.append(frame.retry_after_ms)
                host.close()
                threading.Event().wait(frame.retry_after_ms / 1_000)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(set(current)) == 200
        assert server.hub.streams.admission.transfers == 0


# HTTP.


def test_the_snapshot_over_http_has_an_etag_and_is_not_sent_twice(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    wait_until(lambda: server.hub.spool.newest is not None)
    newest = server.hub.spool.newest
    assert newest is not None
    headers = {"Authorization": f"Bearer {token}"}
    first = httpx.get(f"{server.url}/v1/snapshot", headers=headers)
    assert first.status_code == 200
    assert first.headers["ETag"] == f'"{EPOCH}-{newest.info.seq}"'
    assert first.headers["Content-Type"] == "application/vnd.fastcheck.snapshot"
    assert "Content-Encoding" not in first.headers
    assert first.content == newest.path.read_bytes()
    tags = f'"other", {first.headers["ETag"]}'
    second = httpx.get(f"{server.url}/v1/snapshot", headers=headers | {"If-None-Match": tags})
    assert (second.status_code, second.content) == (304, b"")
    assert newest.readers == 0


def test_the_snapshot_over_http_needs_the_scope_and_a_place(
    server: Server, ledger: MemoryLedger, token: str
) -> None:
    url = f"{server.url}/v1/snapshot"
    anonymous = httpx.get(url)
    assert anonymous.status_code == 401
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
    headers = {"Authorization": f"Bearer {token}"}
    keys = list(range(64))
    for key in keys:
        assert server.call(lambda key=key: server.hub.streams.enter(key, 1)) is Entered.ADMITTED  # type: ignore[misc]
    busy = httpx.get(url, headers=headers)
    assert busy.status_code == 503
    assert int(busy.headers["Retry-After"]) >= 1
    for key in keys:
        server.call(lambda key=key: server.hub.streams.leave_place(key))  # type: ignore[misc]
    assert httpx.get(url, headers=headers).status_code == 200
    newest = server.hub.spool.newest
    assert newest is not None
    assert (newest.readers, server.hub.streams.admission.transfers) == (0, 0)


def test_requests_have_an_id_and_figures_by_route(server: Server) -> None:
    mine = httpx.get(f"{server.url}/healthz", headers={"X-Request-Id": "mine-1"})
    assert mine.headers["X-Request-Id"] == "mine-1"
    made = httpx.get(f"{server.url}/nowhere/{os.urandom(4).hex()}", headers={"X-Request-Id": "not one"})
    assert made.headers["X-Request-Id"] not in ("", "not one")
    text = httpx.get(f"{server.url}/metrics").text
    assert 'fastcheck_hub_request_seconds_count{method="GET",route="/healthz",status="200"} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert "fastcheck_hub_seq 6.0" in text


def test_hosts_show_in_the_metrics_by_their_state(server: Server, ledger: MemoryLedger, token: str) -> None:
    host = Host(server, token).hello("host", have(ledger))
    host.until(Intent)
    host.say(Ack(ledger.seq, ledger.digest))
    wait_until(lambda: [one.acked for one in server.hub.streams.sessions()] == [ledger.seq])
    assert [one.state for one in server.hub.streams.sessions()] == [State.LIVE]
    ledger.put(record(9))
    host.until(Commit)
    text = httpx.get(f"{server.url}/metrics").text
    assert 'fastcheck_hub_hosts{state="live"} 1.0' in text
    assert "fastcheck_hub_slowest_ack_changes 1.0" in text
    assert "fastcheck_hub_commit_to_sent_seconds_count 1.0" in text
    host.close()
