"""An answer that is on its way."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Pending(Generic[Answer]):
    """An answer that is on its way.

    Unlike `concurrent.futures.Future` it holds nothing while it waits, so a signal handler that comes in
    between may submit a job of its own and wait for it."""

    __slots__ = ("_answer", "_done", "_error")

    def __init__(self) -> None:
        self._done = threading.Lock()  # Held until the answer is there.
        self._done.acquire()
        self._answer: Answer | None = None
        self._error: BaseException | None = None

    def set_result(self, answer: Answer) -> None:
        """The job is done and on disk."""
        self._answer = answer
        self._done.release()

    def set_exception(self, error: BaseException) -> None:
        """The job failed and was undone."""
        self._error = error
        self._done.release()

    def exception(self, timeout_s: float = -1) -> BaseException | None:
        """Waits; why it failed, or None. Raises `TimeoutError` after `timeout_s`; negative: no bound."""
        if not self._done.acquire(timeout=timeout_s):
            raise TimeoutError(f"no answer within {timeout_s:g} s")
        self._done.release()
        return self._error

    def result(self, timeout_s: float = -1) -> Answer:
        """Waits for the answer. Raises what the job raised, and as `exception`."""
        error = self.exception(timeout_s)
        if error is not None:
            raise error
        return self._answer  # type: ignore[return-value]
