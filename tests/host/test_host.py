"""Owner, workers and takeover over a real lock, socket and ledger, with an arena in plain Python."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import errors
from fastcheck.admin import Admin
from fastcheck.clock import ManualClock
from fastcheck.directory.lock import OwnerLock
from fastcheck.host.changes import Change
from fastcheck.host.embedded.participant import EmbeddedParticipant as Host
from fastcheck.host.framing import frame
from fastcheck.host.listener import Listener
from fastcheck.host.socket import connect
from fastcheck.wire.operation import Request
from fastcheck.wire.operations.audit import ListAudit
from fastcheck.wire.operations.balances import GetBalance, GetBalanceHistory
from fastcheck.wire.operations.catalog import CheckCatalog, GetCatalog
from fastcheck.wire.operations.epochs import GetPosition
from fastcheck.wire.operations.features import CheckFeature, Explain
from fastcheck.wire.operations.grants import ListGrants
from fastcheck.wire.operations.top_ups import ListTopUps
from fastcheck.wire.operations.usage_records import ListUsage
from fastcheck.wire.packing import pack
from host.test_owner import given, parse
from rig.fake_arena import FakeArena, Files
from rig.fake_catalog import FakeCatalog
from rig.instants import MAY_2024_MS


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    files = Files()
    made: list[Host] = []

    def make(directory: Path = tmp_path, **options: Any) -> Host:
        host = Host(
            directory,
            parse=parse,
            make_arena=lambda _, catalog, now: FakeArena(files, catalog),
            clock=ManualClock(MAY_2024_MS),
            **options,
        )
        host.start(None if (directory / "ledger.db").exists() else given())
        made.append(host)
        return host

    yield make
    for host in made:
        host.close()


def admin(host: Host) -> Admin:
    return Admin(host.ask, lambda: host.role == "owner", "tests")


GENEROUS_S = 30.0
"""A bound for what takes a fraction of a second: these are not timed tests, and machines are shared."""


def wait_for(what: Callable[[], bool], within_s: float) -> float:
    """Seconds until it happened. Fails when it does not."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - began


def test_the_first_owns_and_the_others_ask(hosts: Callable[..., Host], tmp_path: Path) -> None:
    owner, worker = hosts(), hosts()
    assert (owner.role, worker.role) == ("owner", "worker")
    assert admin(worker).put_customer("acme", plan="pro", aliases=["key"])
    assert not admin(owner).put_customer("acme", plan="pro", aliases=["key"])
    id = admin(worker).grant("key", "ai_credits", 5)
    assert admin(worker).balance("acme", "ai_credits") == admin(owner).balance("acme", "ai_credits")
    assert admin(worker).list_grants("acme")[0].id in {one.id for one in admin(owner).list_grants("acme")}
    assert admin(worker).void(id).voided_at is not None
    assert worker.touch("acme", "ai_credits")
    assert not worker.touch("nobody", "ai_credits")
    assert admin(worker).put_customers([{"id": f"c{n}", "plan": "free"} for n in range(4_001)]) == 4_001
    assert admin(worker).audit().items[0].author == "tests"
    for name in ("owner.lock", "owner.sock", "ledger.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_answers_cross_the_socket_as_they_are(hosts: Callable[..., Host]) -> None:
    owner, worker = hosts(), hosts()
    admin(worker).put_customer("acme", plan="pro")
    admin(worker).put_top_up("acme", "ai_credits", Decimal("0.5"), 20, cost=(900, "EUR"))
    assert owner._part is not None
    owner._part.owner._service.lending.record_usage(
        [("p", 5, "req_1", "acme", "gpt-4o", 12, [("input", 900)])]
    )
    asked: list[Request[Any]] = [
        GetCatalog(),
        CheckCatalog(b"{}", "empty.json"),
        GetPosition(),
        Explain("acme", "gpt-4o"),
        CheckFeature("acme", "gpt-4o"),
        GetBalance("acme", "ai_credits"),
        GetBalanceHistory("acme", "ai_credits", 5, MAY_2024_MS, "50 years"),
        ListGrants("acme"),
        ListTopUps(),
        ListUsage(),
        ListAudit(),
    ]
    for request in asked:
        assert worker.ask(request) == owner.ask(request), request
    assert worker.ask(GetCatalog()).source == FakeCatalog().source()
    assert worker.ask(ListUsage()).items == ((5, "req_1", "acme", "gpt-4o", 12, (("input", 900),)),)


def test_errors_cross_the_socket_whole(hosts: Callable[..., Host]) -> None:
    hosts()
    worker = hosts()
    with pytest.raises(errors.UnknownCustomer, match="put_customer"):
        admin(worker).balance("nobody", "ai_credits")
    with pytest.raises(errors.RecordError, match="no plan"):
        admin(worker).put_customer("acme", plan="gold")
    admin(worker).put_customer("acme", plan="pro")
    document = FakeCatalog().document() | {"plans": {}}
    with pytest.raises(errors.CatalogError) as caught:
        admin(worker).set_catalog(FakeCatalog(document).source())
    assert any("plan pro version 1 is gone" in problem for problem in caught.value.problems)
    with pytest.raises(errors.ProtocolError):
        worker.call("_reconcile")


def test_another_takes_over_when_the_owner_closes(hosts: Callable[..., Host]) -> None:
    owner, worker, guest = hosts(), hosts(), hosts(may_own=False, lease_timeout_s=GENEROUS_S)
    admin(guest).put_customer("acme", plan="pro")
    owner.close()
    # Sent while nobody owns the directory, answered by the successor.
    assert admin(guest).get_customer("acme").plan == "pro"
    wait_for(lambda: worker.role == "owner", GENEROUS_S)
    assert guest.role == "worker"
    with pytest.raises(errors.Closed):
        owner.call("hello")


def test_no_owner_is_said_within_the_bound(hosts: Callable[..., Host]) -> None:
    owner, guest = hosts(), hosts(may_own=False, lease_timeout_s=0.2)
    owner.close()
    began = time.monotonic()
    assert not guest.touch("acme", "ai_credits")
    assert 0.15 < time.monotonic() - began < GENEROUS_S


def test_a_directory_without_owner_cannot_be_attached(hosts: Callable[..., Host]) -> None:
    with pytest.raises(errors.OwnerUnavailable, match=r"Entitlements\.open"):
        hosts(may_own=False)


def test_a_long_path_has_a_socket_all_the_same(hosts: Callable[..., Host], tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    owner, worker = hosts(deep), hosts(deep)
    assert (owner.role, worker.role) == ("owner", "worker")


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", frame(b"\x01"), frame(pack(["touch", [], {}])),
     frame(pack(["grant", [{"=": "os"}], {}])), frame(pack([1, 2, 3])), b"\0\0"],
)  # fmt: skip
def test_garbage_on_the_socket_hurts_nobody(hosts: Callable[..., Host], tmp_path: Path, data: bytes) -> None:
    owner, worker = hosts(), hosts()
    with connect(str(tmp_path / "owner.sock"), 1.0) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4_096):
            pass
    assert worker.call("hello") == owner.call("hello") == os.getpid()


def test_changes_reach_callbacks_in_every_process(hosts: Callable[..., Host]) -> None:
    owner, worker = hosts(), hosts()
    seen: list[Change] = []
    listener = Listener(worker)
    unsubscribe = listener.on("customer_changed", seen.append)
    listener.on("customer_changed", lambda _: 1 / 0)
    admin(owner).put_customer("acme", plan="pro")
    wait_for(lambda: [one.customer for one in seen] == ["acme"], GENEROUS_S)
    unsubscribe()
    admin(owner).put_customer("other", plan="pro")
    listener.close()
    assert len(seen) == 1
    with pytest.raises(errors.Closed):
        listener.on("customer_changed", seen.append)


def test_admin_calls_from_many_threads_and_processes_agree(hosts: Callable[..., Host]) -> None:
    owner, worker = hosts(), hosts()
    admin(owner).put_customer("acme", plan="free")
    threads = [
        threading.Thread(
            target=lambda host=host: [admin(host).grant("acme", "ai_credits", 1) for _ in range(20)]
        )
        for host in (owner, worker, owner, worker)
    ]
    for thread in threads:
        thread.start()
    for _ in range(20):
        owner.touch("acme", "ai_credits")
    for thread in threads:
        thread.join()
    assert admin(worker).balance("acme", "ai_credits").remaining == 80


def in_child(run: Callable[[], bool]) -> int:
    """Forks; the child's answer becomes its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if run() else 1
        except BaseException as error:
            print(repr(error), flush=True)
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_is_a_worker(hosts: Callable[..., Host]) -> None:
    owner = hosts()
    admin(owner).put_customer("acme", plan="pro")

    def child() -> bool:
        inherited = [
            os.readlink(f"/proc/self/fd/{fd}")
            for fd in os.listdir("/proc/self/fd")
            if fd.isdigit() and os.path.lexists(f"/proc/self/fd/{fd}")
        ]
        assert not any("owner.lock" in one or "ledger.db" in one for one in inherited), inherited
        return owner.role == "worker" and admin(owner).get_customer("acme").plan == "pro"

    assert exit_code(in_child(child)) == 0
    assert owner.role == "owner"
    assert admin(owner).put_customer("acme", plan="free")


def test_a_forked_child_takes_over_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Parent owns; it forks; it is killed: the child must be able to own, so it may not keep the lock
    alive."""
    report, told = os.pipe()

    def parent() -> bool:
        files = Files()
        host = Host(
            tmp_path,
            parse=parse,
            make_arena=lambda _, catalog, now: FakeArena(files, catalog),
            clock=ManualClock(MAY_2024_MS),
        )
        host.start(given())
        admin(host).put_customer("acme", plan="pro")

        def child() -> bool:
            admin(host).get_customer("acme")
            os.write(told, b"w" if host.role == "worker" else b"?")
            wait_for(lambda: host.role == "owner", GENEROUS_S)
            os.write(told, b"o" if admin(host).get_customer("acme").plan == "pro" else b"?")
            return True

        in_child(child)
        signal.pause()
        return True

    pid = in_child(parent)
    assert os.read(report, 1) == b"w"
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    exit_code(pid)
    assert os.read(report, 1) == b"o"
    assert time.monotonic() - began < GENEROUS_S
    os.close(report)
    os.close(told)


def test_the_lock_is_one(tmp_path: Path) -> None:
    first, second = OwnerLock(str(tmp_path / "owner.lock")), OwnerLock(str(tmp_path / "owner.lock"))
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    first.release()
    assert second.acquire()
    assert second.held
    second.release()
    with pytest.raises(errors.DirectoryError, match="write access"):
        OwnerLock(str(tmp_path / "missing" / "owner.lock")).acquire()


def test_a_key_answers_for_what_is_gone(hosts: Callable[..., Host]) -> None:
    owner, worker = hosts(), hosts()
    for place, door in enumerate((owner, worker)):
        by = admin(door)
        by.put_customer("acme", plan="pro")
        made = by.once(f"grant {place}").grant("acme", "ai_credits", 5)
        by.once(f"delete {place}").delete_customer("acme")
        for other in (owner, worker):
            admin(other).once(f"delete {place}").delete_customer("acme")
            assert admin(other).once(f"grant {place}").grant("acme", "ai_credits", 5) == made
            with pytest.raises(errors.FastcheckError):
                admin(other).once(f"grant {place}").grant("acme", "ai_credits", 6)
        with pytest.raises(errors.UnknownCustomer):
            by.once(f"another {place}").delete_customer("acme")
