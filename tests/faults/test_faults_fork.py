"""FAULTS 7, 8: forks by real servers, with the owner's lock held, and out of processes with many threads."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements
from fastcheck.hub.store.statements import leases
from rig.processes import GENEROUS_S, OWNER_PID, QUICKSTART, control_word, in_fork, wait_for
from rig.samples import sample

APPLICATION = """
import json, os
from fastcheck import Entitlements
ents = Entitlements.open(os.environ["STATE"], catalog=os.environ["CATALOG"])
ents.admin.put_customer("acme", plan="pro")
def app(environ, start):
    path = environ["PATH_INFO"]
    if path == "/burn":
        answer = [os.getpid(), ents.consume("acme", "api_calls", 1)]
    elif path == "/grant":
        answer = [os.getpid(), ents.admin.grant("acme", "ai_credits", 1)]
    else:
        answer = [os.getpid(), ents.status().role, ents.check("acme", "export")]
    body = json.dumps(answer).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_gunicorn_preload(tmp_path: Path) -> None:
    """Row 7: the master owns and never answers a request, its workers are forked with the lock held. They
    burn exactly, and when the master is killed one of them owns."""
    (tmp_path / "application.py").write_text(textwrap.dedent(APPLICATION))
    state, port = tmp_path / "state", free_port()
    master = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}",
         "--graceful-timeout", "1", "--log-level", "warning", "application:app"],
        cwd=tmp_path, env={**os.environ, "STATE": str(state), "CATALOG": str(QUICKSTART)},
    )  # fmt: skip

    def ask(path: str) -> Any:
        # A connection each, so that both workers get some.
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=GENEROUS_S) as answer:
            return json.load(answer)

    def listens() -> bool:
        try:
            return bool(ask("/"))
        except OSError:
            return False

    pids: set[int] = set()
    try:
        wait_for(listens)
        assert control_word(state, OWNER_PID) == master.pid
        burned = 0

        def burn() -> bool:
            nonlocal burned
            pid, allowed = ask("/burn")
            assert allowed
            burned += 1
            pids.add(pid)
            return len(pids) == 2

        wait_for(burn)
        assert master.pid not in pids
        assert [ask("/")[1:] for _ in range(10)] == [["worker", True]] * 10
        assert ask("/grant")[1]

        master.kill()
        master.wait()
        # The workers outlive it for the moment that they need to notice; whoever owns now, nothing is lost.
        with Entitlements.open(state) as ents:
            wait_for(lambda: control_word(state, OWNER_PID) != master.pid)
            assert ents.admin.balance("acme", "api_calls").used == burned
            assert ents.admin.balance("acme", "ai_credits").remaining == 1
    finally:
        for pid in [master.pid, *pids]:
            if pid != master.pid or master.poll() is None:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        master.wait()


def burn_what_was_opened_before(ents: Any, times: int) -> None:
    """For forked children only: an open directory is not sent to another process."""
    assert ents.status().role == "worker"
    for _ in range(times):
        assert ents.consume("acme", "api_calls")
    assert ents.admin.get_customer("acme").plan == "pro"


def test_multiprocessing_fork_with_what_the_parent_opened(tmp_path: Path) -> None:
    """Row 7: the children use their parent's object, and leave its lock, socket and ledger alone."""
    context = multiprocessing.get_context("fork")
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        children = [context.Process(target=burn_what_was_opened_before, args=(ents, 300)) for _ in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join(GENEROUS_S)
            assert child.exitcode == 0
        assert ents.status().role == "owner"
        assert ents.admin.balance("acme", "api_calls").used == 900


def test_a_forked_child_does_not_keep_the_role_alive(tmp_path: Path) -> None:
    """Row 7: the parent closes; its child still runs; a third process owns at once."""
    ents = Entitlements.open(tmp_path, catalog=QUICKSTART)
    ents.admin.put_customer("acme", plan="pro")
    ready, tell_ready = os.pipe()
    end, tell_end = os.pipe()

    def child() -> bool:
        os.close(tell_end)
        os.write(tell_ready, b".")
        os.read(end, 1)
        return ents.consume("acme", "api_calls", 1) and ents.status().role in ("worker", "owner")

    codes: list[int] = []
    forking = threading.Thread(target=lambda: codes.append(in_fork(child)))
    forking.start()
    assert os.read(ready, 1) == b"."
    ents.close()
    with Entitlements.open(tmp_path) as successor:
        assert successor.status().role == "owner"
        os.close(tell_end)
        forking.join(GENEROUS_S)
        assert codes == [0]
        assert successor.admin.balance("acme", "api_calls").used == 1
    for one in (ready, tell_ready, end):
        os.close(one)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forks_while_other_threads_publish_and_burn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 8: whatever lock another thread holds at the fork, the child checks, burns and asks the owner."""
    # Each child's grant ends a lease: more of them between two sweeps than the ledger remembers.
    monkeypatch.setattr(leases, "LEASES_KEPT", 1_000_000)
    with Entitlements.open(tmp_path, catalog=QUICKSTART, lease_timeout=GENEROUS_S) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 10**9)
        stop = threading.Event()
        rounds = dict.fromkeys(("publish", "burn", "touch"), 0)

        def publish() -> None:
            ents.admin.put_override("acme", "seats", rounds["publish"] % 50)

        def burn() -> None:
            with ents.reserve("acme", "gpt-4o", 3) as held:
                held.commit(2)

        def touch() -> None:
            id = f"c{rounds['touch']}"
            ents.admin.put_customer(id, plan="pro")
            assert ents.consume(id, "api_calls", 1)

        def again(name: str, work: Any) -> None:
            while not stop.is_set():
                work()
                rounds[name] += 1

        threads = [
            threading.Thread(target=again, args=pair)
            for pair in (("publish", publish), ("burn", burn), ("touch", touch))
        ]
        for thread in threads:
            thread.start()
        forked = 0

        def child() -> bool:
            return (
                ents.status().role == "worker"
                and ents.check("acme", "export")
                and ents.consume("acme", "api_calls", 1)
                and bool(ents.reserve("acme", "gpt-4o", 1).commit())
                and ents.limit("acme", "seats") in range(50)
                and bool(ents.admin.grant("acme", "ai_credits", 1))
            )

        try:
            wait_for(lambda: all(rounds.values()))
            began = dict(rounds)
            end = time.monotonic() + sample(1, 30)
            while time.monotonic() < end or forked < 10:
                assert in_fork(child) == 0, f"fork {forked + 1}"
                forked += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert all(rounds[name] > began[name] for name in rounds), "no other thread ran during the forks"
        assert ents.status().role == "owner"
        assert ents.admin.balance("acme", "api_calls").used == forked
        burned = 2 * rounds["burn"] + forked
        # What a hold gave back after its lease was closed is booked with the next sweep.
        wait_for(lambda: ents.admin.balance("acme", "ai_credits").used == burned)
        assert ents.admin.balance("acme", "ai_credits").remaining == 10**9 + forked - burned


LOADS_SLOWLY = """
import os, signal, subprocess, sys, threading, time
from fastcheck import Entitlements

loading = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            loading.set()
            time.sleep(0.2)

state, catalog = sys.argv[1:]
ents = Entitlements.open(state, catalog=catalog)
ents.admin.put_customer("acme", plan="pro")
sys.meta_path.insert(0, Slow())
asks = "import sys, fastcheck; fastcheck.Entitlements.attach(sys.argv[1]).admin.get_customer('acme')"
other = subprocess.Popen([sys.executable, "-c", asks, state])
late = loading.wait(20)  # A thread of the owner answers the first question of another process.
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    os._exit(0 if ents.admin.grant("acme", "ai_credits", 1) else 1)
print(late, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), other.wait())
"""


def test_a_fork_while_the_owner_loads_a_module(tmp_path: Path) -> None:
    """Row 8: the child could never load what a thread of its parent had half loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LOADS_SLOWLY, str(tmp_path), str(QUICKSTART)], capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "0", "0"], done.stderr
