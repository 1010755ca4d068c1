"""Hubs for tests: the real process, on a free port, ended by its own id."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rig.warm import WarmProcess

WITHIN_S = 60.0
"""For what takes a second, on a machine that others share."""
CATALOG = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"


@dataclass
class RunningHub:
    """A hub's process."""

    process: subprocess.Popen[str] | WarmProcess
    url: str
    token: str
    """An administrator's, which may stream as well."""
    directory: Path
    log: Path
    """What it wrote to standard error."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def http(self, token: str | None = None, **more: Any) -> httpx.Client:
        """A client with a token."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=WITHIN_S, trust_env=False, **more)

    def readiness(self) -> dict[str, Any]:
        """What /readyz says."""
        found: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=WITHIN_S, trust_env=False).json()
        return found

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)

    def kill(self) -> None:
        """Without a word."""
        self.process.kill()
        self.process.wait(WITHIN_S)


@contextlib.contextmanager
def running_hub(
    directory: Path,
    *arguments: str,
    catalog: Path | None = CATALOG,
    database: str | None = None,
    port: int = 0,
    token: str | None = None,
    ready: bool = True,
    warm: bool = True,
) -> Iterator[RunningHub]:
    """A hub with the state `directory`, once /readyz says that it should be asked (unless not `ready`).
    `token`: default the one that its first start wrote there. `warm`: forked with everything imported; False
    where the start is the subject. Its drain is short."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "hub.log"
    command = ["hub", str(directory), "--json", "--drain-s", "0.2"]
    command += ["--listen", f"127.0.0.1:{port}"]
    command += [] if catalog is None else ["--catalog", str(catalog)]
    command += [] if database is None else ["--database", database]
    command += arguments
    process: subprocess.Popen[str] | WarmProcess
    with log.open("a") as errors:
        if warm:
            process = WarmProcess(None, command, stderr=errors)
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", "fastcheck", *command],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait(WITHIN_S)
            raise AssertionError(f"the hub did not begin: {log.read_text()[-2_000:]}")
        said = json.loads(line)
        text = token if token is not None else (directory / "admin.token").read_text().strip()
        hub = RunningHub(process, said["url"], text, directory, log)
        if ready:
            wait_ready(hub)
        yield hub
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def wait_ready(hub: RunningHub) -> None:
    """Until it should be asked."""
    ends_at = time.monotonic() + WITHIN_S
    problems: object = "it does not answer"
    while time.monotonic() < ends_at:
        problems = hub.readiness()["problems"]
        if not problems:
            return
        time.sleep(0.02)
    raise AssertionError(f"the hub is not ready: {problems}")
