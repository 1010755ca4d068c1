"""Directories that follow a hub: who owns the stream, who asks whom, what a start needs, what is refused."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from fastcheck.clock import ManualClock
from fastcheck.host.following import handshake, marker, reasons, tokens
from fastcheck.host.following.participant import FollowingParticipant, HubSettings
from fastcheck.host.given_catalog import GivenCatalog
from fastcheck.host.listener import Listener
from fastcheck.wire.address import address
from host.test_connection import CATALOG, TOKEN, Ledger, OnDemandHub, for_ever, record
from rig.fake_catalog import FakeCatalog
from rig.fake_stream_natives import Disk, natives
from rig.instants import MAY_2024_MS
from rig.processes import wait_for
from rig.scripted_hub import Peer, ScriptedHub, problem, scripted_hub

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with scripted_hub() as hub:
        yield hub
    assert hub.failures == []


class Machine:
    """One machine: a directory, its files, and the processes on it (all in this one)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = Disk()
        self.hosts: list[FollowingParticipant] = []

    def host(
        self,
        url: str,
        *,
        mode: str = "all",
        wait_ready_s: float = 30.0,
        bundled: bool = False,
        token: Callable[[], str] = lambda: TOKEN,
        **options: Any,
    ) -> FollowingParticipant:
        where = address(url)
        given = GivenCatalog(FakeCatalog(), CATALOG, "bundled") if bundled else None
        settings = HubSettings(
            where, marker.claim(self.directory, where.http, mode), token, 10, wait_ready_s, None, given
        )
        host = FollowingParticipant(
            self.directory, settings, natives=natives(self.disk), clock=ManualClock(MAY_2024_MS), **options
        )
        self.hosts.append(host)
        host.start(None)
        return host


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for host in machine.hosts:
        host.close()


def filling(hub: ScriptedHub) -> Ledger:
    """The hub fills every host that comes, or lets it go on."""
    ledger = Ledger()

    async def talk(peer: Peer) -> None:
        hello: Any = await peer.hear()
        if hello.have is None:
            from fastcheck.wire.frames import FULL, Piece
            from host.test_connection import begin

            await peer.send(
                begin(FULL, ledger.seq, ledger.seq, len(ledger.file)), Piece(0, ledger.file), ledger.commit()
            )
        else:
            from fastcheck.wire.frames import NONE
            from host.test_connection import begin

            await peer.send(begin(NONE, ledger.seq, ledger.seq))
        await for_ever(peer)

    hub.conversations.append(talk)
    return ledger


def test_one_stream_per_machine_whatever_the_number_of_processes(hub: ScriptedHub, machine: Machine) -> None:
    ledger = filling(hub)
    owner = machine.host(hub.url)
    workers = [machine.host(hub.url) for _ in range(3)]
    guest = machine.host(hub.url, may_own=False)
    assert [one.role for one in (owner, *workers, guest)] == ["owner", *["worker"] * 4]
    assert machine.disk.rows == ledger.rows
    assert len(hub.requests) == 1
    for one in (owner, *workers, guest):
        link = one.link()
        assert link is not None
        assert (link.connected, link.ready, link.reason, link.url) == (True, True, "", f"{hub.url}/v1/stream")
        one.wait_ready(5.0)
        link = one.link()
        assert link is not None
        assert link.ready
        assert one.call("pools_behind", "gpt-4o") in (("ai_credits",), ["ai_credits"])
    with pytest.raises(errors.ProtocolError, match="ask the hub"):
        owner.call("put_customers", [])


def test_a_worker_takes_over_within_a_second_and_goes_on(hub: ScriptedHub, machine: Machine) -> None:
    filling(hub)
    owner, worker = machine.host(hub.url), machine.host(hub.url)
    loads = machine.disk.loads
    owner.close()
    began = time.monotonic()
    wait_for(lambda: worker.role == "owner")
    wait_for(lambda: len(hub.requests) == 2)
    assert time.monotonic() - began < 5.0  # 100 ms of polling; machines are shared.
    wait_for(lambda: (link := worker.link()) is not None and link.connected)
    assert machine.disk.loads == loads
    with pytest.raises(errors.Closed):
        owner.call("link")
    assert owner.link() is None


def test_changes_are_told_in_every_process(hub: ScriptedHub, machine: Machine) -> None:
    go = threading.Event()
    ledger = Ledger()

    async def talk(peer: Peer) -> None:
        await ledger.fill(peer)
        while not go.is_set():
            import asyncio

            await asyncio.sleep(0.01)
        await peer.send(*ledger.put(2))
        await for_ever(peer)

    hub.conversations.append(talk)
    machine.host(hub.url)
    worker = machine.host(hub.url)
    heard: list[str | None] = []
    listener = Listener(worker)
    listener.on("customer_changed", lambda change: heard.append(change.customer))
    go.set()
    wait_for(lambda: heard == ["c2"])
    listener.close()


def test_an_arena_of_this_boot_answers_with_the_hub_away(hub: ScriptedHub, machine: Machine) -> None:
    filling(hub)
    machine.host(hub.url).close()
    hub.refusals = [problem(HTTPStatus.SERVICE_UNAVAILABLE, "drains")] * 1_000
    began = time.monotonic()
    host = machine.host(hub.url)
    assert time.monotonic() - began < 2.0  # Nothing was waited for.
    wait_for(lambda: (link := host.link()) is not None and bool(link.reason))
    link = host.link()
    assert link is not None
    assert (link.connected, link.ready) == (False, True)
    assert "drains" in link.reason
    assert any("drains" in note for note in host.notes)


def test_a_checkpoint_answers_with_the_hub_away(hub: ScriptedHub, machine: Machine) -> None:
    ledger = filling(hub)
    machine.host(hub.url).close()
    machine.disk.same_boot = False
    machine.disk.rows = {}
    hub.refusals = [problem(HTTPStatus.SERVICE_UNAVAILABLE, "drains")] * 1_000
    machine.host(hub.url)
    assert machine.disk.rows == ledger.rows


def test_nothing_to_answer_from_is_an_error_with_the_reason(hub: ScriptedHub, machine: Machine) -> None:
    hub.refusals = [problem(HTTPStatus.SERVICE_UNAVAILABLE, "drains")] * 1_000
    with pytest.raises(errors.HubUnavailable, match=r"within 0\.05 s: .*drains"):
        machine.host(hub.url, wait_ready_s=0.05)
    hub.refusals = [problem(HTTPStatus.UNAUTHORIZED, "the token expired")] * 1_000
    began = time.monotonic()
    with pytest.raises(errors.Forbidden, match="the token expired"):
        machine.host(hub.url)
    assert time.monotonic() - began < 20.0  # What only somebody else can mend is not waited for.
    hub.refusals.clear()
    hub.conversations.append(for_ever)
    with pytest.raises(errors.NotYet, match="wait longer"):
        machine.host(hub.url, wait_ready_s=0.05)


def test_a_bundled_catalog_answers_where_nothing_else_does(hub: ScriptedHub, machine: Machine) -> None:
    hub.refusals = [problem(HTTPStatus.UNAUTHORIZED, "the token expired")] * 1_000
    host = machine.host(hub.url, bundled=True)
    with pytest.raises(errors.NotYet, match="the token expired"):
        host.wait_ready(0.05)


def test_a_directory_that_cannot_be_opened_is_an_error_at_once(
    hub: ScriptedHub, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object) -> None:
        raise errors.ArenaError("written by another version")

    monkeypatch.setattr("fastcheck.host.following.replica.Replica.open", fails)
    with pytest.raises(errors.ArenaError, match="another version"):
        machine.host(hub.url)


def test_a_guest_needs_somebody_who_owns(machine: Machine) -> None:
    with pytest.raises(errors.OwnerUnavailable, match=r"Entitlements\.connect"):
        machine.host("ws://127.0.0.1:1", may_own=False)


def test_what_is_countable_is_denied_and_said_once(hub: ScriptedHub, machine: Machine) -> None:
    filling(hub)
    host = machine.host(hub.url)
    assert not host.touch("c1", "ai_credits")
    assert not host.touch("c1", "ai_credits")
    assert not host.touch("c1", None)  # All customers are here.
    assert not host.touch_many(["c1"])
    assert [note for note in host.notes if "no leases yet" in note] == [host.notes[-1]]
    assert host.call("prewarm", [("c1", None)]) == 0
    assert host.call("fetch", ["c1"], 1.0) == {}


def test_customers_are_fetched_for_every_process(hub: ScriptedHub, machine: Machine) -> None:
    there = OnDemandHub({n: record(n) for n in range(1, 8)})
    hub.conversations.append(there.talk)
    owner = machine.host(hub.url, mode="on_demand", lease_timeout_s=30.0)
    worker = machine.host(hub.url, mode="on_demand", lease_timeout_s=30.0)
    place = (1, 1)
    for one in (owner, worker):
        one.position = lambda: place
    owner.wait_ready(60)
    assert worker.touch("c1", None)
    assert owner.touch("c2", None)
    assert not worker.touch("nobody", None)
    assert sorted(machine.disk.rows) == [1, 2]
    asked = len(there.wants)
    assert worker.call("touch", "nobody", None) is False
    assert len(there.wants) == asked  # The owner remembers.
    # The worker does not even ask the owner, as long as the arena stands still.
    client, worker._client = worker._client, None  # type: ignore[assignment]
    assert not worker.touch("nobody", None)
    worker._client = client
    assert worker.touch_many(["c3", "nobody", "c4"])
    assert not worker.touch_many(["nobody"])
    place = (1, 2)
    assert not worker.touch_many(["nobody", "noone"])
    assert worker.call("prewarm", [("c5", None), ("c6", "export"), ("nix", None)]) == 2
    assert sorted(machine.disk.rows) == [1, 2, 3, 4, 5, 6]


def test_what_each_process_remembers_of_nobody_is_bounded(machine: Machine, monkeypatch: Any) -> None:
    monkeypatch.setattr("fastcheck.host.following.participant.UNKNOWN_MAX", 2)
    settings = HubSettings(
        address("ws://127.0.0.1:1"), marker.Marker("u", "on_demand", "h"), lambda: TOKEN, 10, 1.0, None, None
    )
    host = FollowingParticipant(
        machine.directory,
        settings,
        natives=natives(machine.disk),
        clock=ManualClock(0),
        may_own=False,
        lease_timeout_s=0.01,
    )
    machine.hosts.append(host)
    for key in ("a", "b", "c"):
        assert not host.touch(key, None)
    assert list(host._unknown) == ["b", "c"]
    assert not host.touch_many(["d"])
    host.close()
    assert not host.touch("e", None)
    assert not host.touch_many(["f"])


def test_admin_is_a_client_of_the_hub(hub: ScriptedHub, machine: Machine, monkeypatch: Any) -> None:
    import sys
    import types

    made: list[Any] = []

    class FakeClient:
        def __init__(self, url: str, token: str, **options: Any) -> None:
            made.append((url, token, options))
            self.closed = False

        def close(self) -> None:
            self.closed = True

    filling(hub)
    current = [TOKEN]
    host = machine.host(hub.url, token=lambda: current[0])
    monkeypatch.setitem(sys.modules, "fastcheck.hub_client", None)
    with pytest.raises(errors.MissingExtra, match="fastcheck\\[client\\]"):
        host.admin()
    module = types.ModuleType("fastcheck.hub_client")
    module.HubClient = FakeClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastcheck.hub_client", module)
    first: Any = host.admin()
    assert host.admin() is first
    current[0] = TOKEN + "2"
    second: Any = host.admin()
    assert second is not first
    [(url, token, options), (_, token2, _)] = made
    assert (url, token, token2) == (hub.url.replace("ws:", "http:"), TOKEN, TOKEN + "2")
    assert options == {"ca_file": None, "insecure": True}
    host.close()
    assert second.closed


# Directories.


def test_a_directory_says_which_hub_it_follows_and_holds_no_token(hub: ScriptedHub, machine: Machine) -> None:
    filling(hub)
    machine.host(hub.url)
    path = machine.directory / "hub.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = marker.read(machine.directory)
    assert found is not None
    assert (found.url, found.mode) == (hub.url.replace("ws:", "http:"), "all")
    for one in machine.directory.rglob("*"):
        if one.is_file():
            assert b"verysecret" not in one.read_bytes()


def test_a_directory_follows_one_hub_in_one_way(tmp_path: Path) -> None:
    first = marker.claim(tmp_path, "https://hub", "all")
    assert marker.claim(tmp_path, "https://hub", "all") == first
    assert first.host.startswith("h_")
    with pytest.raises(errors.DirectoryError, match="follows https://hub, not https://other"):
        marker.claim(tmp_path, "https://other", "all")
    with pytest.raises(errors.DirectoryError, match="holds customers='all'"):
        marker.claim(tmp_path, "https://hub", "on_demand")
    assert os.listdir(tmp_path) == ["hub.json"]


def test_many_who_claim_at_once_agree(tmp_path: Path) -> None:
    found: list[marker.Marker] = []
    barrier = threading.Barrier(8)

    def claim() -> None:
        barrier.wait()
        found.append(marker.claim(tmp_path, "https://hub", "all"))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "url": "u", "mode": "all", "host": "h"}',
             '{"version": 1, "url": "u", "mode": "some", "host": "h"}', "[" * 50_000],
)  # fmt: skip
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "hub.json").write_text(text)
    with pytest.raises(errors.DirectoryError, match="damaged"):
        marker.read(tmp_path)


def test_the_two_kinds_of_directory_are_never_mixed(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    Entitlements.open(ours, catalog=QUICKSTART).close()
    with pytest.raises(errors.DirectoryError, match="has a ledger of its own"):
        Entitlements.connect("ws://127.0.0.1:1", ours, token=TOKEN)
    theirs.mkdir()
    marker.claim(theirs, "https://hub.example", "all")
    with pytest.raises(errors.DirectoryError, match=r"follows the hub at https://hub\.example"):
        Entitlements.open(theirs, catalog=QUICKSTART)


# Arguments.


@pytest.mark.parametrize(
    ("url", "stream", "http"),
    [
        ("wss://hub.example:8700", "wss://hub.example:8700/v1/stream", "https://hub.example:8700"),
        ("https://Hub.Example/fc/", "wss://hub.example/fc/v1/stream", "https://hub.example/fc"),
        ("http://localhost:8700", "ws://localhost:8700/v1/stream", "http://localhost:8700"),
        ("ws://[::1]:8700/v1/stream", "ws://[::1]:8700/v1/stream", "http://[::1]:8700"),
        ("ws://127.8.9.1", "ws://127.8.9.1/v1/stream", "http://127.8.9.1"),
    ],
)  # fmt: skip
def test_addresses(url: str, stream: str, http: str) -> None:
    found = address(url)
    assert (found.stream, found.http) == (stream, http)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("", "must look like"),
        ("ftp://hub", "must look like"),
        ("hub:8700", "must look like"),
        ("wss://", "must look like"),
        ("wss://hub:port", "cannot be read"),
        ("wss://[::1", "cannot be read"),
        ("wss://jo:secret@hub", "user or a password"),
        ("wss://hub?token=x", "query"),
        ("wss://hub#x", "query"),
        ("wss://hub/a b", "blanks"),
        ("ws://hub.example", "without TLS"),
        ("wss://" + "h" * 3_000, "3006 characters"),
    ],
)
def test_addresses_that_are_refused(url: str, match: str) -> None:
    with pytest.raises(errors.NameInvalid, match=match) as caught:
        address(url)
    assert "secret" not in str(caught.value)


def test_an_address_without_tls_can_be_wanted() -> None:
    assert address("ws://hub.example", insecure=True).stream == "ws://hub.example/v1/stream"
    with pytest.raises(errors.WrongType):
        address(b"wss://hub")


def test_tokens(tmp_path: Path) -> None:
    assert tokens.source_of(TOKEN, None)() == TOKEN
    assert tokens.source_of(None, None, {tokens.VARIABLE: f" {TOKEN}\n"})() == TOKEN
    with pytest.raises(errors.Forbidden, match="FASTCHECK_TOKEN"):
        tokens.source_of(None, None, {})()
    path = tmp_path / "token"
    source = tokens.source_of(None, path)
    with pytest.raises(errors.Forbidden, match="cannot be read"):
        source()
    path.write_text(TOKEN)
    assert source() == TOKEN
    path.write_bytes(b"\xff" * 10)
    with pytest.raises(errors.NameInvalid):
        source()
    for wrong in ({"token": TOKEN, "token_file": path}, {"token": 5}, {"token_file": 5}):
        with pytest.raises(errors.WrongType):
            tokens.source_of(wrong.get("token"), wrong.get("token_file"))
    for bad in ("", "a b", "a\nb", "x" * 2_000, "töken"):
        with pytest.raises(errors.NameInvalid) as caught:
            tokens.source_of(bad, None)
        assert not bad or bad not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"customers": "some"}, errors.WrongType),
        ({"customers_max": 0}, errors.WrongType),
        ({"customers_max": True}, errors.WrongType),
        ({"wait_ready_s": -1}, errors.WrongType),
        ({"lease_timeout": "1"}, errors.WrongType),
        ({"token": None}, errors.Forbidden),
        ({"ca_file": 5}, errors.WrongType),
        ({"ca_file": "/nowhere.pem"}, errors.DirectoryError),
        ({"catalog": 5}, errors.WrongType),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_anything_is_made(
    tmp_path: Path, wrong: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tokens.VARIABLE, raising=False)
    given: dict[str, Any] = {"token": TOKEN} | wrong
    with pytest.raises(error):
        Entitlements.connect("ws://127.0.0.1:1", tmp_path / "state", **given)
    assert not (tmp_path / "state" / "owner.lock").exists()


def test_waits_are_those_stated() -> None:
    assert (reasons.FORBIDDEN_WAIT_MS, handshake.OPEN_TIMEOUT_S) == (30_000, 5.0)
