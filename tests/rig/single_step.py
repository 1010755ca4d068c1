"""Runs a child one machine instruction at a time, and kills it between two of them. Linux, by ptrace.

The child stops itself right before and right after the operation; what lies between is counted in
instructions. Parent and child share one CPU, because waking another one at every step costs five times the
step."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
from collections import Counter
from collections.abc import Callable
from types import TracebackType

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long

_TRACEME, _PEEKUSER, _POKEUSER, _CONT, _SINGLESTEP = 0, 3, 6, 7, 9
_RIP = 16 * 8
"""Where the instruction pointer is in `struct user` of x86-64."""
_DEBUG_REGISTERS = 848
"""Where the debug registers are there: four addresses, then status (6) and control (7)."""
_TRAPPED = signal.SIGTRAP << 8 | 0x7F
_STOPPED = signal.SIGSTOP << 8 | 0x7F

HAS_BREAKPOINTS = platform.machine() == "x86_64"


def share_one_cpu() -> None:
    """This process and the children it makes run on one CPU."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _ptrace(request: int, pid: int, at: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    answer: int = _LIBC.ptrace(request, pid, at, data)
    if answer == -1 and ctypes.get_errno():
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request}): {os.strerror(error)}; single steps need the right to trace")
    return answer


class Stepped:
    """A forked child that stands right before an operation.

    `prepare` runs in the child and gives the operation. Leaving the block kills the child."""

    def __init__(self, prepare: Callable[[], Callable[[], object]]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            self._child(prepare)
        _, status = os.waitpid(self.pid, 0)
        if status != _STOPPED:
            raise AssertionError(f"the child did not reach the operation: wait status {status:#x}")

    @staticmethod
    def _child(prepare: Callable[[], Callable[[], object]]) -> None:
        try:
            _ptrace(_TRACEME, 0)
            operation = prepare()
            stop, me, sign = os.kill, os.getpid(), signal.SIGSTOP
            stop(me, sign)
            kept = operation()  # Dropping a reservation would release it.
            stop(me, sign)
            del kept
        except BaseException as error:
            os.write(2, f"the child failed: {error!r}\n".encode())
            os._exit(1)
        finally:
            os._exit(0)

    def step(self, count: int = 1) -> bool:
        """Lets it run that many instructions. False: the operation ended before."""
        pid, wait, step = self.pid, os.waitpid, _LIBC.ptrace
        for _ in range(count):
            if step(_SINGLESTEP, pid, None, None) != 0:
                raise OSError(ctypes.get_errno(), "a single step failed")
            status = wait(pid, 0)[1]
            if status != _TRAPPED:
                self._must_have_ended(status)
                return False
        return True

    def run_to(self, address: int, times: int) -> bool:
        """Lets it run until it is about to execute `address` for the `times`-th time. False: it ended
        before."""
        _ptrace(_POKEUSER, self.pid, _DEBUG_REGISTERS, address)
        _ptrace(_POKEUSER, self.pid, _DEBUG_REGISTERS + 7 * 8, 1)  # Register 0, on execution, one byte.
        for _ in range(times):
            _ptrace(_CONT, self.pid)
            status = os.waitpid(self.pid, 0)[1]
            if status != _TRAPPED:
                self._must_have_ended(status)
                return False
        return True

    def at(self) -> int:
        """The address of its next instruction."""
        return _ptrace(_PEEKUSER, self.pid, _RIP) & (1 << 64) - 1

    def run(self) -> None:
        """Lets it run to the end of the operation."""
        _ptrace(_CONT, self.pid)
        self._must_have_ended(os.waitpid(self.pid, 0)[1])

    @staticmethod
    def _must_have_ended(status: int) -> None:
        if status != _STOPPED:
            raise AssertionError(f"the child neither went on nor ended: wait status {status:#x}")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Again: nothing."""
        pid, self.pid = self.pid, 0
        if pid:
            os.kill(pid, signal.SIGKILL)
            while not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
                pass

    def __enter__(self) -> Stepped:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Trail:
    """Every instruction of one run of an operation, so that later runs can be brought to the n-th at once."""

    def __init__(self, child: Stepped) -> None:
        """Steps the child to the end."""
        self.places: list[tuple[int, int]] = []
        """(address, how often it was executed up to here, this time included)."""
        seen: Counter[int] = Counter()
        more = True
        while more:
            address = child.at()
            seen[address] += 1
            self.places.append((address, seen[address]))
            more = child.step()

    def __len__(self) -> int:
        return len(self.places)

    def bring(self, child: Stepped, n: int) -> bool:
        """Lets a fresh child run n instructions, in as few stops as can be. False: it ended before."""
        address, times = self.places[n]
        return child.run_to(address, times) if times < n else child.step(n)
