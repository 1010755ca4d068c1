"""FAULTS 19: interpreters that end, and signal handlers that come in between. Nothing may wait for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fastcheck import Entitlements
from rig.processes import GENEROUS_S, PRELUDE, QUICKSTART, wait_for

OPENED = """
ents = Entitlements.open(sys.argv[1], catalog=sys.argv[2])
ents.admin.put_customer("acme", plan="pro")
def burn(times=1):
    for _ in range(times):
        assert ents.consume("acme", "api_calls", 1)
"""

ENDINGS = {
    "daemon threads burn on": """
        def forever():
            while True:
                burn(100)
        for _ in range(3):
            threading.Thread(target=forever, daemon=True).start()
        burn(1_000)
        """,
    "daemon threads administer on": """
        def forever(n):
            while True:
                ents.admin.put_override("acme", "seats", n)
                ents.admin.balance("acme", "api_calls")
        for n in range(3):
            threading.Thread(target=forever, args=(n,), daemon=True).start()
        burn(1_000)
        """,
    "atexit burns, administers and closes": """
        import atexit
        def last():
            burn(5)
            try:
                ents.admin.balance("acme", "api_calls")
            except errors.Closed:
                pass
            ents.close()
            ents.close()
        atexit.register(last)
        burn(1_000)
        """,
    "a callback is still subscribed": """
        ents.on("customer_changed", lambda change: ents.admin.balance("acme", "api_calls"))
        ents.admin.put_override("acme", "seats", 3)
        burn(1_000)
        """,
    "a reservation is alive in a global and in a cycle": """
        held = ents.reserve("acme", "api_calls", 7)
        class Cycle: pass
        cycle = Cycle()
        cycle.me, cycle.held = cycle, ents.reserve("acme", "api_calls", 8)
        burn(1_000)
        """,
    "an exception ends the main thread": """
        burn(1_000)
        sys.excepthook = lambda *_: None
        raise RuntimeError
        """,
    "sys.exit in a with block": """
        with ents, ents.reserve("acme", "api_calls", 7):
            burn(1_000)
            sys.exit()
        """,
    "os._exit": """
        burn(1_000)
        os._exit(0)
        """,
    "a non-daemon thread outlives the main thread": """
        begun = threading.Event()
        def later():
            begun.wait()
            threading.main_thread().join()
            for _ in range(100):
                try:
                    burn(1)
                    ents.admin.balance("acme", "api_calls")
                except errors.Closed:
                    return
        threading.Thread(target=later).start()
        burn(1_000)
        begun.set()
        """,
}


def run(directory: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs to the end. A deadlock fails by the time out."""
    return subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-c",
            PRELUDE + OPENED + textwrap.dedent(code),
            str(directory),
            str(QUICKSTART),
        ],
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
    )


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_an_interpreter_ends(tmp_path: Path, ending: str) -> None:
    """Row 19: the process ends, what was burned is booked, what was held comes back."""
    ended = run(tmp_path, ending)
    assert ended.returncode in (0, 1), ended.stderr
    assert "Fatal" not in ended.stderr, ended.stderr
    with Entitlements.open(tmp_path) as ents:
        used = int(ents.admin.balance("acme", "api_calls").used)
        assert used >= 1_000
        if "daemon" not in ending and "burn(5)" not in ending and "later" not in ending:
            left = 100_000 - 1_000
            wait_for(lambda: ents.consume("acme", "api_calls", left))
            assert ents.admin.balance("acme", "api_calls").used == 100_000


HANDLERS = """
TOUCH = %s
ents.admin.put_customers([{"id": f"{kind}{n}", "plan": "pro"} for kind in "hc" for n in range(4_000)])
ents.admin.grant("acme", "ai_credits", 10**12)
import faulthandler; faulthandler.dump_traceback_later(30, exit=True)
handled = n = burned = 0
def handler(*_):
    global handled
    handled += 1
    ents.check("acme", "export")
    assert ents.consume("acme", "gpt-4o", 1)
    ents.reserve("acme", "gpt-4o", 2).commit(1)
    if TOUCH:
        assert ents.consume(f"h{handled %% 4_000}", "api_calls", 1)
    # One at a time: handlers that take longer than their timer pile up.
    signal.setitimer(signal.ITIMER_REAL, 0.000_5)
signal.signal(signal.SIGALRM, handler)
handler()
end = time.monotonic() + 2
while time.monotonic() < end or handled < 50:
    n += 1
    burned += ents.consume("acme", "gpt-4o", 1)
    ents.reserve("acme", "gpt-4o", 2).release()
    ents.check_many(["acme", "nobody"], "export")
    if TOUCH:
        assert ents.consume(f"c{n %% 4_000}", "api_calls", 1)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
assert ents.admin.balance("acme", "ai_credits").used == burned + 2 * handled, "a burn was lost"
say("handled", handled, "burned", burned)
"""


@pytest.mark.parametrize("touch", [False, True], ids=["burning", "first touches"])
@pytest.mark.parametrize("role", ["owner", "worker"])
def test_a_signal_handler_comes_in_between(tmp_path: Path, role: str, touch: bool) -> None:
    """Row 19: a handler that does the same as what it interrupts."""
    code = HANDLERS % touch
    if role == "worker":
        with Entitlements.open(tmp_path, catalog=QUICKSTART):
            ended = run(tmp_path, code)
    else:
        ended = run(tmp_path, code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("handled")
