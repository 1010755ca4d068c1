"""Locks over customers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator

STRIPES = 64


class Stripes:
    """Locks over customers: whoever touches a customer's cells holds theirs. Taken in one order, so no two
    wait for each other."""

    def __init__(self) -> None:
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    @contextlib.contextmanager
    def hold(self, numbers: Iterable[int] | None) -> Iterator[None]:
        """Holds these customers, or all."""
        wanted = range(STRIPES) if numbers is None else sorted({number % STRIPES for number in numbers})
        with contextlib.ExitStack() as stack:
            for stripe in wanted:
                stack.enter_context(self._locks[stripe])
            yield
