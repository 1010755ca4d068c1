"""Processes that a benchmark of the hub talks to, a line of JSON each way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastcheck import Entitlements


class Child:
    """A process that answers each line with one."""

    def __init__(self, module: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def read(self) -> Any:
        """The next line. Raises where the process ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended: see its output above")
        return json.loads(line)

    def say(self, what: object) -> None:
        """A line for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what if isinstance(what, (int, float)) else json.dumps(what)}\n")
        self.process.stdin.flush()

    def ask(self, what: object) -> Any:
        """A line, and its answer."""
        self.say(what)
        return self.read()

    def finish(self) -> Any:
        """Ends its input; the line it answers that with."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.read()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ends its input and waits; then by force."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def child(module: str, *arguments: object) -> Iterator[Child]:
    """A process for as long as this lasts."""
    one = Child(module, *arguments)
    try:
        yield one
    finally:
        one.stop()


class RunningHub(Child):
    """A hub."""

    def __init__(self, directory: Path, *options: object) -> None:
        super().__init__("benches.hub_child", directory, *options)
        ready = self.read()
        self.port, self.token = int(ready["port"]), str(ready["token"])
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self, directory: Path, **options: Any) -> Entitlements:
        """A host."""
        return Entitlements.connect(self.url, directory, token=self.token, wait_ready_s=120, **options)

    def wait_for_snapshot(self) -> int:
        """Until there is a snapshot; bytes of its file."""
        while not (found := self.ask({"state": True})["snapshots"]):
            time.sleep(0.1)
        return int(found[0])


@contextmanager
def hub(directory: Path, *options: object) -> Iterator[RunningHub]:
    """A hub for as long as this lasts."""
    one = RunningHub(directory, *options)
    try:
        yield one
    finally:
        one.stop()
