"""A hub, an app with four workers, and a plan that is changed live while requests run. One command:

    python examples/fleet/run.py [--seconds 8]

It starts both servers on free ports of this machine, makes a customer, sends requests from eight threads, and
moves the customer between the plans `free` and `pro` at the hub. Each line says when the workers' answers
followed. Everything is stopped and removed at the end."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from fastcheck.hub_client import HubClient

HERE = Path(__file__).parent
CATALOG = HERE.parent / "quickstart" / "catalog.yaml"
WORKERS = 4
THREADS = 8
START_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the address answers with 200. Raises if the process ends, or time does."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}; see its output above")
        try:
            if httpx.get(url, timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within {START_S} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def worker_roles(url: str) -> dict[int, str]:
    """The role of each worker, asked until all have answered."""
    found: dict[int, str] = {}
    for _ in range(400):
        answer = httpx.get(f"{url}/status", headers={"Connection": "close"}).json()
        found[answer["worker"]] = answer["role"]
        if len(found) == WORKERS:
            break
    return found


class Requests:
    """Threads that ask the app for an export of one customer, again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Counter[int] = Counter()
        self.workers: set[int] = set()
        self.last: dict[int, float] = {}
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as client:
            while not self.ended.is_set():
                # A new connection each time, so that the kernel spreads them over the workers.
                answer = client.get("/exports/acme", headers={"Connection": "close"})
                self.last[answer.status_code] = time.monotonic()
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    self.workers.add(answer.json()["worker"])

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8, help="how long requests run (default 8)")
    seconds = parser.parse_args().seconds
    directory = Path(tempfile.mkdtemp(prefix="fastcheck-fleet-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        port, app_port = free_port(), free_port()
        hub_url, app_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{app_port}"
        hub = subprocess.Popen(
            [sys.executable, "-m", "fastcheck", "hub", str(directory / "hub"),
             "--listen", f"127.0.0.1:{port}", "--catalog", str(CATALOG)]
        )  # fmt: skip
        processes.append(hub)
        wait_for(f"{hub_url}/readyz", hub)
        with HubClient(hub_url, (directory / "hub" / "admin.token").read_text().strip()) as admin:
            admin.put_customer("acme", plan="free")
            token = admin.make_token("app", ["stream"]).token
            app = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(HERE), "--host", "127.0.0.1",
                 "--port", str(app_port), "--workers", str(WORKERS), "--log-level", "warning"],
                env={**os.environ, "FASTCHECK_HUB": hub_url, "FASTCHECK_TOKEN": token,
                     "FASTCHECK_DIR": str(directory / "host")},
            )  # fmt: skip
            processes.append(app)
            wait_for(f"{app_url}/status", app)
            print(f"hub at {hub_url}, app with {WORKERS} workers at {app_url}")
            requests = Requests(app_url)
            try:
                plan, end = "free", time.monotonic() + seconds
                while time.monotonic() < end:
                    time.sleep(min(1.0, seconds / 4))
                    plan, stale = ("pro", 402) if plan == "free" else ("free", 200)
                    admin.put_customer("acme", plan=plan)
                    changed = time.monotonic()
                    time.sleep(0.5)
                    late_ms = max(0.0, requests.last.get(stale, 0.0) - changed) * 1e3
                    print(f"acme is on {plan}: the last old answer came {late_ms:.1f} ms after the change")
            finally:
                requests.stop()
            allowed, denied = requests.answers[200], requests.answers[402]
            print(f"{allowed} exports, {denied} refused with 402, by {len(requests.workers)} workers")
            roles = Counter(worker_roles(app_url).values())
            print(f"{roles['owner']} of the workers follows the hub, {roles['worker']} read what it keeps")
    finally:
        for process in reversed(processes):
            stop(process)
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
