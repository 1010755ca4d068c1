"""Several processes on one directory: exact totals, kills, takeover, forks. Needs the native module."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fastcheck import Entitlements

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"

SPENDER = """
import sys
from fastcheck import Entitlements
ents = Entitlements.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
spent = 0
while ents.consume("acme", sys.argv[2]):
    spent += 1
    if spent % 1000 == 0:
        print(spent, flush=True)
print(spent, "done", flush=True)
"""


def spawn(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def test_processes_spend_one_balance_to_the_unit(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        children = [spawn(SPENDER, tmp_path, "api_calls") for _ in range(2)]
        assert [read_line(child).strip() for child in children] == ["ready"] * 2
        for child in children:
            go(child)
        totals = []
        for child in children:
            out, _ = child.communicate(timeout=60)
            totals.append(int(out.split()[-2]))
        assert sum(totals) == 100_000
        assert ents.admin.balance("acme", "api_calls").remaining == 0


def test_a_killed_owner_is_succeeded_and_nothing_is_lost(tmp_path: Path) -> None:
    owner = spawn(
        """
        import sys
        from fastcheck import Entitlements
        ents = Entitlements.open(sys.argv[1], catalog=sys.argv[2])
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 1_000_000)
        spent = 0
        while True:
            assert ents.consume("acme", "gpt-4o")
            spent += 1
            if spent % 100 == 0:
                print(spent, flush=True)
        """,
        tmp_path,
        QUICKSTART,
    )
    with owner:
        assert int(read_line(owner)) == 100
        with Entitlements.open(tmp_path) as ents:
            assert ents.status().role == "worker"
            owner.send_signal(signal.SIGKILL)
            assert owner.stdout is not None
            printed = max([100, *(int(line) for line in owner.stdout if line.endswith("\n"))])
            began = time.monotonic()
            while ents.status().role != "owner":
                assert time.monotonic() - began < 30.0, "no takeover"
                time.sleep(0.01)
            used = ents.admin.balance("acme", "ai_credits").used
            assert printed <= used <= printed + 100_000
            assert ents.consume("acme", "gpt-4o", 5)
            assert ents.admin.balance("acme", "ai_credits").used == used + 5


def test_killing_everybody_at_once_loses_nothing(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 10**9)
    children = [spawn(SPENDER, tmp_path, "gpt-4o") for _ in range(2)]
    for child in children:
        assert read_line(child).strip() == "ready"
        go(child)
    counts = [int(read_line(child)) for child in children]
    for child in children:
        child.kill()
    for index, child in enumerate(children):
        with child:
            assert child.stdout is not None
            printed = [int(line) for line in child.stdout if line.endswith("\n") and line.strip().isdigit()]
        counts[index] = max([counts[index], *printed])
    with Entitlements.open(tmp_path) as ents:
        used = int(ents.admin.balance("acme", "ai_credits").used)
        assert sum(counts) <= used <= sum(counts) + 2_000


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        assert ents.consume("acme", "api_calls", 1)
        children = [context.Process(target=burn, args=(str(tmp_path), 500)) for _ in range(3)]  # type: ignore[attr-defined]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        assert ents.admin.balance("acme", "api_calls").used == 1_501


def burn(directory: str, times: int) -> None:
    ents = Entitlements.attach(directory)
    for _ in range(times):
        assert ents.consume("acme", "api_calls")


def test_a_forked_child_uses_what_its_parent_opened(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                spent = ents.consume("acme", "api_calls", 10)
                ents.admin.grant("acme", "ai_credits", 3)
                code = (
                    0 if spent and ents.consume("acme", "gpt-4o", 3) and ents.status().role == "worker" else 2
                )
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ents.status().role == "owner"
        assert ents.admin.balance("acme", "api_calls").used == 10
        assert ents.admin.balance("acme", "ai_credits").remaining == 0


def test_a_grant_is_seen_in_another_process_when_it_returns(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        child = spawn(
            """
            import sys
            from fastcheck import Entitlements
            ents = Entitlements.attach(sys.argv[1])
            for line in sys.stdin:
                print(ents.consume("acme", "gpt-4o"), flush=True)
            """,
            tmp_path,
        )
        with child:
            for _ in range(20):
                go(child)
                assert read_line(child) == "False\n"
                ents.admin.grant("acme", "ai_credits", 1)
                go(child)
                assert read_line(child) == "True\n"
            child.kill()
