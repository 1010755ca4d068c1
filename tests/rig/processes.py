"""Processes for the tests of faults: children that run a piece of code, waiting without guessing."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from rig.warm import WarmProcess

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"

GENEROUS_S = 60.0
"""How long something that takes milliseconds may take on a machine that others share."""
WORD = 8

# Words of `control`, see docs/format.
LAYOUT, ARENA, BOOT, GENERATION, SEQ, OWNER_PID = 1, 2, 3, 4, 6, 9

PRELUDE = """
import os, signal, sys, threading, time
from fastcheck import Entitlements, errors
def say(*words): print(*words, flush=True)
def hear(): return sys.stdin.readline().split()
"""


class Child:
    """A Python process that runs `code` after `PRELUDE`, with `sys.argv[1:]` as given. Killed when left."""

    def __init__(self, code: str, *args: object) -> None:
        self.process = WarmProcess(PRELUDE + textwrap.dedent(code), args, stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, *words: object) -> None:
        """Sends a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def hear(self) -> list[str]:
        """The words of its next line; [] when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def ask(self, *words: object) -> list[str]:
        self.tell(*words)
        return self.hear()

    def ends(self, within_s: float = GENEROUS_S) -> int:
        """Its exit code."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return self.process.wait(within_s)

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        self.send(signal.SIGSTOP)
        wait_for(lambda: stat_fields(self.pid)[0] == "T")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Again: nothing."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


def wait_for(what: Callable[[], object], within_s: float = GENEROUS_S) -> None:
    """Waits until it is so. Fails when it never is."""
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, f"it did not happen within {within_s:g} s"
        time.sleep(0.01)


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextlib.contextmanager
def words_of(path: Path) -> Iterator[memoryview]:
    """A file's words, mapped for reading and writing, as an attacker or a flipped bit would have them."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        view = memoryview(mapped).cast("Q")
        try:
            yield view
        finally:
            view.release()


def control_word(directory: Path, index: int) -> int:
    """One word of `control`, as it is on disk."""
    (word,) = struct.unpack_from("<Q", (directory / "control").read_bytes(), index * WORD)
    return int(word)


def in_fork(run: Callable[[], bool], within_s: float = GENEROUS_S) -> int:
    """Forks; what `run` says becomes the child's exit code: 0 for True, 1 for False, 2 for an exception,
    and -9 for a child that never ended."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if run() else 1
        except BaseException as error:
            os.write(2, f"the forked child failed: {error!r}\n".encode())
        finally:
            os._exit(code)
    end = time.monotonic() + within_s
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
