"""The socket of the stream, against a hub that does what a test tells it: what is refused, said and
survived."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastcheck.clock import ManualClock
from fastcheck.errors import Closed
from fastcheck.host.changes import Ring
from fastcheck.host.following import connection as connections
from fastcheck.host.following import handshake, reasons
from fastcheck.host.following.connection import Connection
from fastcheck.host.following.natives import CatalogText
from fastcheck.host.following.on_demand import HeldReplica
from fastcheck.host.following.replica import Replica
from fastcheck.wire import frames
from fastcheck.wire.address import address
from fastcheck.wire.frames import (
    DELTA,
    FULL,
    NONE,
    Ack,
    CatalogPart,
    Commit,
    Found,
    Goodbye,
    Have,
    Heartbeat,
    Hello,
    Intent,
    Nack,
    Piece,
    Records,
    Want,
)
from fastcheck.wire.record import CustomerRecord, pack_record
from rig.fake_catalog import FakeCatalog
from rig.fake_stream_natives import Disk, natives, snapshot, total
from rig.instants import MAY_2024_MS
from rig.processes import wait_for
from rig.scripted_hub import Peer, ScriptedHub, problem, scripted_hub

TOKEN = "fc_live_0123456789abcdef_verysecretverysecretverysecretverysecretver"
CATALOG = FakeCatalog().source()
BOUND_S = 30.0
"""For what takes milliseconds, on a machine that others share."""


def record(number: int, id: str | None = None) -> bytes:
    return pack_record(CustomerRecord(number, id or f"c{number}", plan="pro", version=1))


def begin(kind: int, seq_from: int, seq_to: int, size: int = 0, heartbeat_ms: int = 60_000) -> Intent:
    return Intent(kind, 1, seq_from, seq_to, MAY_2024_MS, heartbeat_ms, 0, size)


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with scripted_hub() as hub:
        yield hub
    assert hub.failures == []


class Host:
    """A directory with its connection; quick to come again."""

    def __init__(self, tmp_path: Path, url: str, *, on_demand: bool = False, **options: Any) -> None:
        self.disk = Disk()
        self.clock = ManualClock(MAY_2024_MS)
        bundled = CatalogText(FakeCatalog(), CATALOG, "bundled") if on_demand else None
        given = (tmp_path, natives(self.disk), self.clock, Ring(1), bundled)
        self.replica: Replica | HeldReplica = (
            HeldReplica(*given, customers_max=10) if on_demand else Replica(*given)
        )
        self.connection = Connection(
            address(url),
            options.pop("token", lambda: TOKEN),
            "h_test",
            self.replica,
            chance=lambda: 0.0,
            **options,
        )

    def comes_to(self, what: Callable[[Connection], bool]) -> None:
        assert self.connection.wait(lambda: what(self.connection), BOUND_S), self.connection.failure


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(url: str, **options: Any) -> Host:
        made.append(Host(tmp_path, url, **options))
        made[-1].connection.start()
        return made[-1]

    yield make
    for host in made:
        host.connection.close()


class Ledger:
    """What a scripted hub knows."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {1: record(1)}
        self.seq = 1

    @property
    def file(self) -> bytes:
        return snapshot((1, self.seq, total(self.rows)), CATALOG, self.rows)

    def commit(self) -> Commit:
        return Commit(1, self.seq, total(self.rows), MAY_2024_MS)

    def put(self, number: int) -> tuple[Records, Commit]:
        self.rows[number] = record(number)
        self.seq += 1
        return Records(self.rows[number]), self.commit()

    async def fill(self, peer: Peer) -> None:
        """Gives everything to a host that has nothing."""
        hello = await peer.hear()
        assert isinstance(hello, Hello)
        assert hello.have is None
        await peer.send(begin(FULL, self.seq, self.seq, len(self.file)), Piece(0, self.file), self.commit())
        assert await peer.hear() == Ack(self.seq, total(self.rows))


async def for_ever(peer: Peer) -> None:
    await peer.socket.wait_closed()


def test_a_host_is_filled_and_follows(hub: ScriptedHub, hosts: Callable[..., Host]) -> None:
    ledger = Ledger()
    beats = threading.Event()

    async def talk(peer: Peer) -> None:
        await ledger.fill(peer)
        await peer.send(*ledger.put(2))
        assert await peer.hear() == Ack(2, total(ledger.rows))
        await peer.send(Heartbeat(MAY_2024_MS + 9, 1, 2, total(ledger.rows)))
        assert await peer.hear() == Ack(2, total(ledger.rows))
        beats.set()
        await for_ever(peer)

    hub.conversations.append(talk)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.connected and at.ready)
    assert beats.wait(BOUND_S)
    assert host.disk.rows == {1: record(1), 2: record(2)}
    assert (host.disk.link, host.disk.fresh[-1]) == (True, MAY_2024_MS + 9)
    assert host.connection.failure is None
    [request] = hub.requests
    assert request.path == "/v1/stream"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "fastcheck" in request.headers["User-Agent"]
    assert "Sec-WebSocket-Extensions" not in request.headers


def test_a_connection_that_breaks_inside_a_change_goes_on_from_the_last_commit(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    ledger = Ledger()
    resumed = threading.Event()

    async def breaks(peer: Peer) -> None:
        await ledger.fill(peer)
        records, _ = ledger.put(2)
        await peer.send(records)
        peer.socket.transport.abort()

    async def goes_on(peer: Peer) -> None:
        hello = await peer.hear()
        assert isinstance(hello, Hello)
        assert (hello.host, hello.arena, hello.mode) == ("h_test", 42, frames.ALL)
        assert hello.have == Have(1, 1, total({1: record(1)}))
        await peer.send(begin(DELTA, 1, 2), Records(record(2)), ledger.commit())
        assert await peer.hear() == Ack(2, total(ledger.rows))
        resumed.set()
        await for_ever(peer)

    hub.conversations += [breaks, goes_on]
    host = hosts(hub.url)
    assert resumed.wait(BOUND_S)
    assert host.disk.rows == ledger.rows
    kinds = [one.kind for one in host.replica.ring.read(0, 0)[0] if one.customer is None]
    assert kinds == ["connected", "disconnected", "connected"]


def test_a_connection_that_breaks_inside_a_snapshot_shows_nothing_of_it(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    ledger = Ledger()

    async def breaks(peer: Peer) -> None:
        await peer.hear()
        file = ledger.file
        await peer.send(begin(FULL, 1, 1, len(file)), Piece(0, file[:10]))
        peer.socket.transport.abort()

    async def fills(peer: Peer) -> None:
        await ledger.fill(peer)
        await for_ever(peer)

    hub.conversations += [breaks, breaks, fills]
    host = hosts(hub.url)
    host.comes_to(lambda at: at.ready)
    assert host.disk.loads == 1


Bad = Callable[[Peer], Any]


@pytest.mark.parametrize(
    ("bad", "code", "again_from_nothing"),
    [
        (lambda peer: peer.send(Commit(1, 3, 0, 0)), frames.GAP, True),
        (lambda peer: peer.send(Commit(1, 1, 0, 0)), frames.GAP, True),
        (lambda peer: peer.send(Commit(2, 2, 0, 0)), frames.EPOCH, True),
        (lambda peer: peer.send(Records(record(2)), Commit(1, 2, 5, 0)), frames.DIGEST, True),
        (lambda peer: peer.send(Heartbeat(0, 1, 1, 5)), frames.DIGEST, True),
        (lambda peer: peer.send(Records(b"\xc1"), Commit(1, 2, 5, 0)), frames.MALFORMED, True),
        (lambda peer: peer.socket.send(b"\xc1"), frames.MALFORMED, False),
        (lambda peer: peer.socket.send("text"), frames.MALFORMED, False),
        (lambda peer: peer.socket.send(b"\x91" * 100_000), frames.MALFORMED, False),
        (lambda peer: peer.socket.send(b"\x93\x02\x15\x00"), frames.VERSION_UNKNOWN, False),
        (lambda peer: peer.socket.send(b"\x93\x01\x40\x00"), frames.UNKNOWN_FRAME, False),
        (lambda peer: peer.send(begin(NONE, 1, 1)), frames.UNEXPECTED, False),
    ],
)  # fmt: skip
def test_what_is_not_as_it_must_be_is_refused_by_name_and_the_host_comes_again(
    hub: ScriptedHub, hosts: Callable[..., Host], bad: Bad, code: str, again_from_nothing: bool
) -> None:
    ledger = Ledger()
    heard: list[frames.Frame] = []
    came_again = threading.Event()

    async def misbehaves(peer: Peer) -> None:
        await ledger.fill(peer)
        await bad(peer)
        heard.extend(await peer.hear_all())

    async def listens(peer: Peer) -> None:
        heard.append(await peer.hear())
        came_again.set()
        await for_ever(peer)

    hub.conversations += [misbehaves, listens]
    host = hosts(hub.url)
    assert came_again.wait(BOUND_S)
    [nack, hello] = heard
    assert isinstance(nack, Nack)
    assert nack.code == code
    assert isinstance(hello, Hello)
    assert (hello.have is None) is again_from_nothing
    assert host.connection.failure is not None
    assert code in host.connection.failure.reason
    assert host.disk.rows[1] == record(1)  # The last good state.


def test_the_same_refused_twice_makes_the_next_transfer_a_full_one(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    ledger = Ledger()
    hellos: list[Hello] = []
    done = threading.Event()

    async def misbehaves(peer: Peer) -> None:
        if hellos:
            hello = await peer.hear()
            assert isinstance(hello, Hello)
            hellos.append(hello)
            if len(hellos) == 3:
                done.set()
                return await for_ever(peer)
        else:
            hellos.append(Hello("", 0, None, 0))
            await ledger.fill(peer)
        await peer.socket.send(b"\xc1")
        await peer.hear_all()

    hub.conversations.append(misbehaves)
    hosts(hub.url)
    assert done.wait(BOUND_S)
    assert [one.have is None for one in hellos] == [True, False, True]


def test_a_message_over_the_bound_is_cut_off_before_it_is_read(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    async def floods(peer: Peer) -> None:
        await peer.hear()
        await peer.socket.send(b"\0" * (frames.HUB_MESSAGE_BYTES_MAX + 1))
        await for_ever(peer)

    hub.conversations.append(floods)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.failure is not None)
    assert host.connection.failure is not None
    assert "1009" in host.connection.failure.reason


def test_a_hub_that_falls_silent_is_left(
    hub: ScriptedHub, hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TICK_S", 0.02)
    ledger = Ledger()

    async def silent(peer: Peer) -> None:
        await peer.hear()
        await peer.send(
            begin(FULL, 1, 1, len(ledger.file), heartbeat_ms=10), Piece(0, ledger.file), ledger.commit()
        )
        await for_ever(peer)

    hub.conversations.append(silent)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.failure is not None)
    assert host.connection.failure is not None
    assert "was not heard for" in host.connection.failure.reason
    assert host.disk.rows == ledger.rows


def test_a_goodbye_is_obeyed_and_said(hub: ScriptedHub, hosts: Callable[..., Host]) -> None:
    async def leaves(peer: Peer) -> None:
        await peer.hear()
        await peer.send(Goodbye("drain", "a new version comes", 60_000))
        await for_ever(peer)

    hub.conversations.append(leaves)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.failure is not None)
    assert host.connection.failure == reasons.Failure(
        f"the hub at {host.connection.url} ended the stream (drain): a new version comes", False, 60_000, 0
    )
    assert not host.connection.wait(lambda: host.connection.attempts > 1, 0.3)  # It waits for a minute.


@pytest.mark.parametrize("code", [frames.REVOKED, frames.FORBIDDEN])
def test_a_token_that_is_revoked_in_the_middle_is_said(
    hub: ScriptedHub, hosts: Callable[..., Host], code: str
) -> None:
    ledger = Ledger()

    async def revokes(peer: Peer) -> None:
        await ledger.fill(peer)
        await peer.send(Goodbye(code, "revoked by jo", 0))
        await for_ever(peer)

    hub.conversations.append(revokes)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.failure is not None)
    failure = host.connection.failure
    assert failure is not None
    assert (failure.forbidden, failure.at_least_ms) == (True, reasons.FORBIDDEN_WAIT_MS)
    assert "revoked by jo" in failure.reason
    assert host.disk.rows == ledger.rows
    assert not host.disk.link


# Handshakes.


def refused(host: Host) -> reasons.Failure:
    host.comes_to(lambda at: at.failure is not None)
    assert host.connection.failure is not None
    return host.connection.failure


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_a_refused_token_is_said_with_the_hubs_reason_and_never_shown(
    hub: ScriptedHub, hosts: Callable[..., Host], status: HTTPStatus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.refusals = [problem(status, "the token expired\non Monday")]
    failure = refused(host := hosts(hub.url))
    assert failure.forbidden
    assert failure.at_least_ms == reasons.FORBIDDEN_WAIT_MS
    assert f"(HTTP {int(status)}): the token expired on Monday" in failure.reason
    host.connection.close()
    # The scripted hub logs what it got; a host logs in these.
    said = [one.getMessage() for one in caplog.records if one.name != "websockets.server"]
    assert any("the token expired" in one for one in said)
    assert not any("verysecret" in one for one in said)
    assert "verysecret" not in repr(vars(host.connection))


@pytest.mark.parametrize(
    ("answer", "match", "retry_after_ms"),
    [
        (problem(HTTPStatus.SERVICE_UNAVAILABLE, "drains", **{"Retry-After": "7"}), "503): drains", 7_000),
        (problem(HTTPStatus.SERVICE_UNAVAILABLE, "x", **{"Retry-After": "soon"}), "HTTP 503", 0),
        (problem(HTTPStatus.NOT_FOUND, "no such path"), "HTTP 404): no such path", 0),
        (problem(HTTPStatus.TEMPORARY_REDIRECT, "", Location="ws://127.0.0.1:1/steal"), "HTTP 307", 0),
    ],
)  # fmt: skip
def test_other_refusals_are_no_matter_of_the_token(
    hub: ScriptedHub, hosts: Callable[..., Host], answer: Any, match: str, retry_after_ms: int
) -> None:
    hub.refusals = [answer]
    hub.conversations.append(for_ever)
    failure = refused(hosts(hub.url))
    assert match in failure.reason
    assert (failure.forbidden, failure.retry_after_ms) == (False, retry_after_ms)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 5}', b"[" * 5_000, b"x" * 70_000])
def test_a_refusal_without_a_problem_document_is_said_as_it_is(body: bytes) -> None:
    assert reasons._detail(body) == ""


def test_what_is_no_hub_is_said(hosts: Callable[..., Host]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_say, args=(other, b"SSH-2.0-OpenSSH\r\n\r\n"), daemon=True).start()
        failure = refused(hosts(f"ws://127.0.0.1:{other.getsockname()[1]}"))
    assert "no hub" in failure.reason


def _say(server: socket.socket, text: bytes) -> None:
    peer, _ = server.accept()
    with peer:
        peer.sendall(text)
        peer.recv(10_000)


def test_nobody_who_listens_is_said(hosts: Callable[..., Host]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert refused(hosts(f"ws://127.0.0.1:{port}")).reason == (
        f"nobody listens at ws://127.0.0.1:{port}/v1/stream"
    )


def test_a_hub_that_never_answers_is_given_up(
    hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "OPEN_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        failure = refused(hosts(f"ws://127.0.0.1:{silent.getsockname()[1]}"))
    assert "did not answer in time" in failure.reason


def test_a_name_that_cannot_be_resolved_is_said() -> None:
    failure = reasons.of_error(
        socket.gaierror(-2, "Name or service not known"), "wss://hub.invalid/v1/stream"
    )
    assert failure.reason == (
        "the name in wss://hub.invalid/v1/stream cannot be resolved: Name or service not known"
    )


def test_reasons_are_one_line_whatever_the_error_is() -> None:
    for error in (ssl.SSLError(1, "a\nb"), EOFError("a\nb"), OSError(5, "a\nb"), KeyError("a\nb"), OSError()):
        reason = reasons.of_error(error, "wss://hub").reason
        assert "\n" not in reason
        assert "wss://hub" in reason


def test_a_certificate_that_does_not_verify_is_refused(hosts: Callable[..., Host], tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("127.0.0.1").configure_cert(context)
    ours.cert_pem.write_to_path(tmp_path / "ours.pem")
    theirs.cert_pem.write_to_path(tmp_path / "theirs.pem")
    with scripted_hub(context) as hub:
        hub.conversations.append(for_ever)
        url = f"wss://127.0.0.1:{hub.port}"
        for ca_file in (None, str(tmp_path / "ours.pem")):
            failure = refused(hosts(url, ca_file=ca_file))
            assert "does not verify" in failure.reason
            assert "ca_file" in failure.reason
        assert hub.requests == []  # The token was never sent.
        assert "cannot be read" in refused(hosts(url, ca_file=str(tmp_path / "none.pem"))).reason

        ledger = Ledger()

        async def fills(peer: Peer) -> None:
            await ledger.fill(peer)
            await for_ever(peer)

        hub.conversations[:] = [fills]
        hosts(url, ca_file=str(tmp_path / "theirs.pem")).comes_to(lambda at: at.ready)


def test_a_certificate_for_another_name_is_refused(hosts: Callable[..., Host], tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hub.example.com").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with scripted_hub(context) as hub:
        failure = refused(hosts(f"wss://127.0.0.1:{hub.port}", ca_file=str(tmp_path / "ca.pem")))
    assert "does not verify" in failure.reason


def test_a_token_that_is_missing_is_said_and_a_new_one_is_taken(
    hub: ScriptedHub, hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fastcheck.host.following import tokens

    monkeypatch.setattr(reasons, "FORBIDDEN_WAIT_MS", 20)
    path = tmp_path / "token"
    ledger = Ledger()

    async def fills(peer: Peer) -> None:
        await ledger.fill(peer)
        await for_ever(peer)

    hub.conversations.append(fills)
    host = hosts(hub.url, token=tokens.source_of(None, path))
    failure = refused(host)
    assert failure.forbidden
    assert "cannot be read" in failure.reason
    path.write_text(TOKEN + "\n")
    host.comes_to(lambda at: at.ready)
    assert hub.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


# Ends.


@pytest.mark.parametrize("at", ["connected", "connecting", "waiting", "at once"])
def test_closing_is_prompt(hosts: Callable[..., Host], at: str) -> None:
    with scripted_hub() as hub, socket.create_server(("127.0.0.1", 0)) as silent:
        ledger = Ledger()

        async def fills(peer: Peer) -> None:
            await ledger.fill(peer)
            await for_ever(peer)

        hub.conversations.append(fills)
        if at == "connected":
            host = hosts(hub.url)
            host.comes_to(lambda at: at.ready)
        elif at == "waiting":
            hub.refusals = [problem(HTTPStatus.UNAUTHORIZED, "no")]
            refused(host := hosts(hub.url))
        else:
            host = hosts(f"ws://127.0.0.1:{silent.getsockname()[1]}")
            if at == "connecting":
                wait_for(lambda: host.connection.attempts > 0)
        began = time.monotonic()
        host.connection.close()
        host.connection.close()
        assert time.monotonic() - began < 2.0
        assert not any(one.name == "fastcheck-stream" and one.is_alive() for one in threading.enumerate())


def test_a_child_closes_the_socket_it_inherited(hub: ScriptedHub, hosts: Callable[..., Host]) -> None:
    ledger = Ledger()
    ended = threading.Event()

    async def fills(peer: Peer) -> None:
        await ledger.fill(peer)
        await for_ever(peer)
        ended.set()

    hub.conversations.append(fills)
    host = hosts(hub.url)
    host.comes_to(lambda at: at.ready)
    pid = os.fork()
    if pid == 0:
        host.connection.in_child()
        time.sleep(BOUND_S)
        os._exit(0)
    try:
        host.connection.close()
        assert ended.wait(BOUND_S)  # Though the child lives.
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_directory_that_cannot_be_opened_is_said_and_tried_again(
    hub: ScriptedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REOPEN_S", 0.02)
    ledger = Ledger()

    async def fills(peer: Peer) -> None:
        await ledger.fill(peer)
        await for_ever(peer)

    hub.conversations.append(fills)
    host = Host(tmp_path, hub.url)
    opened = host.replica.open

    def fails() -> None:
        monkeypatch.setattr(host.replica, "open", opened)
        raise OSError("the disk is away")

    monkeypatch.setattr(host.replica, "open", fails)
    errors: list[object] = []
    tell = host.connection._tell

    def told(**changed: Any) -> None:
        if changed.get("open_error") is not None:
            errors.append(str(changed["open_error"]))
        tell(**changed)

    monkeypatch.setattr(host.connection, "_tell", told)
    host.connection.start()
    host.comes_to(lambda at: at.ready)
    assert errors == ["the disk is away"]
    assert host.connection.open_error is None
    host.connection.close()


def test_the_checkpoint_is_synced_and_merged_beside_the_stream(
    hub: ScriptedHub, hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TICK_S", 0.01)
    ledger = Ledger()
    merged = threading.Event()

    async def fills(peer: Peer) -> None:
        await ledger.fill(peer)
        await peer.send(*ledger.put(2))
        await for_ever(peer)

    hub.conversations.append(fills)
    wanted = property(lambda self: self.ready and not merged.is_set())
    monkeypatch.setattr(Replica, "wants_compaction", wanted)
    compact = Replica.compact
    monkeypatch.setattr(Replica, "compact", lambda self: (compact(self), merged.set()))
    host = hosts(hub.url)
    assert merged.wait(BOUND_S)
    wait_for(lambda: host.disk.rows == ledger.rows)


# On demand.


class OnDemandHub:
    """Answers what is asked; counts how often."""

    def __init__(self, rows: dict[int, bytes]) -> None:
        self.rows = rows
        self.seq = 1
        self.wants: list[tuple[str, ...]] = []
        self.silent = False

    async def talk(self, peer: Peer) -> None:
        hello = await peer.hear()
        assert isinstance(hello, Hello)
        assert hello.mode == frames.ON_DEMAND
        if hello.have is None:
            await peer.send(
                begin(FULL, self.seq, self.seq),
                CatalogPart("c.json", len(CATALOG), 0, CATALOG),
                Commit(1, self.seq, 0, MAY_2024_MS),
            )
        else:
            await peer.send(begin(NONE, self.seq, self.seq))
        while True:
            frame = await peer.hear()
            if not isinstance(frame, Want):
                continue
            self.wants.append(frame.keys)
            if self.silent:
                continue
            known = {f"c{number}": data for number, data in self.rows.items()}
            data = b"".join(known[key] for key in frame.keys if key in known)
            missing = tuple(key for key in frame.keys if key not in known)
            await peer.send(Found(frame.id, self.seq, missing, data))


def test_customers_are_fetched_once_for_all_who_ask(hub: ScriptedHub, hosts: Callable[..., Host]) -> None:
    there = OnDemandHub({1: record(1), 2: record(2)})
    hub.conversations.append(there.talk)
    host = hosts(hub.url, on_demand=True)
    host.comes_to(lambda at: at.connected)
    assert host.connection.fetch(["c1", "nobody"], BOUND_S) == {"c1": True, "nobody": False}
    assert host.disk.rows == {1: record(1)}
    assert host.connection.fetch(["nobody"], BOUND_S) == {"nobody": False}
    assert there.wants == [("c1", "nobody")] or sorted(there.wants[0]) == ["c1", "nobody"]
    assert len(there.wants) == 1  # Who is nobody is remembered.
    assert host.connection.fetch([], BOUND_S) == {}

    found: list[dict[str, bool]] = []
    threads = [
        threading.Thread(target=lambda: found.append(host.connection.fetch(["c2"], BOUND_S)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"c2": True}] * 8


def test_who_is_not_answered_in_time_gives_up_and_the_key_goes_on(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    there = OnDemandHub({1: record(1)})
    there.silent = True
    hub.conversations.append(there.talk)
    host = hosts(hub.url, on_demand=True)
    host.comes_to(lambda at: at.connected)
    assert host.connection.fetch(["c1"], 0.05) == {}
    host.connection.close()
    with pytest.raises(Closed):
        host.connection.fetch(["c1"], 0.05)


def test_a_hub_that_is_away_answers_nobody_at_once(hosts: Callable[..., Host], monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "GRACE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    host = hosts(f"ws://127.0.0.1:{port}", on_demand=True)
    refused(host)
    began = time.monotonic()
    assert host.connection.fetch(["c1"], BOUND_S) == {"c1": False}
    assert time.monotonic() - began < BOUND_S / 2


def test_questions_that_were_open_are_asked_again_after_a_break(
    hub: ScriptedHub, hosts: Callable[..., Host]
) -> None:
    there = OnDemandHub({1: record(1)})

    async def breaks(peer: Peer) -> None:
        await peer.hear()
        await peer.send(
            begin(FULL, 1, 1), CatalogPart("c.json", len(CATALOG), 0, CATALOG), Commit(1, 1, 0, MAY_2024_MS)
        )
        while not isinstance(await peer.hear(), Want):
            pass
        peer.socket.transport.abort()

    hub.conversations += [breaks, there.talk]
    host = hosts(hub.url, on_demand=True)
    host.comes_to(lambda at: at.connected)
    assert host.connection.fetch(["c1"], BOUND_S) == {"c1": True}
    assert host.disk.rows == {1: record(1)}
