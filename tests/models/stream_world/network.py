"""One connection: two queues of messages. TCP loses nothing in the middle; this network may, so that the
protocol is shown to rest on nothing but its own numbers."""

from __future__ import annotations

import random
from collections import Counter, deque

from fastcheck.wire import frames


class Pipe:
    """Messages on their way in one direction."""

    def __init__(self, choose: random.Random, faults: Counter[str]) -> None:
        self._choose = choose
        self._faults = faults
        self.messages: deque[bytes] = deque()

    def put(self, message: bytes, rough: float) -> None:
        """Sends; with a chance of `rough` something happens to it on the way."""
        if self._choose.random() >= rough:
            self.messages.append(message)
            return
        what = self._choose.choice(("lost", "twice", "swapped", "cut", "noise"))
        self._faults[what] += 1
        if what == "twice":
            self.messages += (message, message)
        elif what == "swapped":
            self.messages.append(message)
            if len(self.messages) > 1:
                self.messages[-1], self.messages[-2] = self.messages[-2], self.messages[-1]
        elif what == "cut":
            self.messages.append(message[: self._choose.randrange(len(message))])
        elif what == "noise":
            self.messages.append(self._choose.randbytes(self._choose.randint(1, 40)))


def payloads(data: bytes) -> list[bytes]:
    """The messages in bytes that are ready for a socket: unmasked, whole, binary."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        assert data[at] == 0x82, "a hub sends whole binary messages"
        size, begin = data[at + 1], at + 2
        if size == 126:
            size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        found.append(data[begin : begin + size])
        at = begin + size
    assert all(len(one) <= frames.HUB_MESSAGE_BYTES_MAX for one in found)
    return found
