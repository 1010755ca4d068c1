"""Thousands of simulated hosts in one process, each with its own connection to a hub.

    python -m benches.hub_hosts HOST PORT TOKEN

They speak the product's own frames over the thinnest client there is: a handshake, a parser of whole
messages, acks. A full transfer is taken and thrown away. Commands come as lines of JSON on standard input,
one answer each: {"connect": N}, {"arrivals": SEQ}, {"state": true}, {"herd": true}, {"close": true}."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import struct
import sys
import time
from base64 import b64encode
from typing import Any

import uvloop

from benches import files
from fastcheck.wire import frames
from fastcheck.wire.frames import Ack, Commit, Goodbye, Have, Heartbeat, Hello, Intent

CONNECTING_MAX = 256
"""Handshakes under way at once when the hosts are first connected; a herd has no such bound."""
BACKOFF_BASE_S, BACKOFF_CAP_S = 0.2, 30.0
ARRIVALS_KEPT = 4_096


class Host(asyncio.Protocol):
    """One host's connection, which comes back for ever."""

    __slots__ = (
        "attempts", "buffer", "current", "fleet", "have", "name", "target", "transport", "upgraded",
    )  # fmt: skip

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet, self.name = fleet, name
        self.have: Have | None = None
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.upgraded = self.current = False
        self.attempts = 0
        self.target = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport.
        self.buffer.clear()
        self.upgraded = self.current = False
        self.transport.write(  # type: ignore[union-attr]
            b"GET /v1/stream HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + b64encode(secrets.token_bytes(16))
            + b"\r\nAuthorization: Bearer "
            + self.fleet.token
            + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.upgraded:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self.buffer.startswith(b"HTTP/1.1 101"):
                self.fleet.refused += 1
                self.drop()
                return
            del self.buffer[: end + 4]
            self.upgraded = True
            self.send(frames.encode(Hello(self.name, 1, self.have, frames.ALL, "simulated")))
        while (message := self.message()) is not None:
            self.receive(message)

    def message(self) -> bytes | None:
        """The next whole message."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1] & 0x7F, 2
        if size == 126:
            if len(buffer) < 4:
                return None
            size, at = struct.unpack_from(">H", buffer, 2)[0], 4
        elif size == 127:
            if len(buffer) < 10:
                return None
            size, at = struct.unpack_from(">Q", buffer, 2)[0], 10
        if len(buffer) < at + size:
            return None
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[at : at + size])
        del buffer[: at + size]
        if opcode == 9:
            self.send(payload, opcode=10)
            return b""
        if opcode == 8:
            self.drop()
            return None
        return payload if opcode == 2 else b""

    def receive(self, message: bytes) -> None:
        now = time.monotonic_ns()
        answered = False
        for frame in frames.decode(message, from_hub=True):
            if isinstance(frame, Intent):
                self.target = frame.seq_to
                if frame.kind == frames.NONE:
                    self.reach()
            elif isinstance(frame, Commit):
                self.have = Have(frame.epoch, frame.seq, frame.digest)
                self.fleet.arrived(frame.seq, now)
                answered = True
                if frame.seq >= self.target:
                    self.reach()
            elif isinstance(frame, Heartbeat):
                answered = True
            elif isinstance(frame, Goodbye):
                self.fleet.goodbyes[frame.code] = self.fleet.goodbyes.get(frame.code, 0) + 1
                self.attempts = max(self.attempts, 1)
                self.fleet.again(self, frame.retry_after_ms / 1_000)
        if answered and self.have is not None:
            self.send(frames.encode(Ack(self.have.seq, self.have.digest)))

    def reach(self) -> None:
        if not self.current:
            self.current = True
            self.attempts = 0
            self.fleet.reached(self)

    def send(self, payload: bytes, opcode: int = 2) -> None:
        """A frame with a mask of zeros, which changes nothing."""
        size = len(payload)
        short = size < 126
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | (size if short else 126))
        head += b"" if short else struct.pack(">H", size)
        if self.transport is not None:
            self.transport.write(head + b"\0\0\0\0" + payload)

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.current = False
        self.fleet.again(self, 0.0)


class Fleet:
    """All of them."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self.host, self.port, self.token = host, port, token.encode()
        self.hosts: list[Host] = []
        self.waiting: set[Host] = set()
        self.arrivals: dict[int, list[int]] = {}
        self.goodbyes: dict[str, int] = {}
        self.refused = 0
        self.closing = False
        self.herd_at = time.monotonic()
        self.current_after: list[float] = []
        self.places = asyncio.Semaphore(CONNECTING_MAX)

    def arrived(self, seq: int, now: int) -> None:
        times = self.arrivals.get(seq)
        if times is None:
            if len(self.arrivals) >= ARRIVALS_KEPT:
                del self.arrivals[next(iter(self.arrivals))]
            times = self.arrivals[seq] = []
        times.append(now)

    def reached(self, host: Host) -> None:
        self.current_after.append(time.monotonic() - self.herd_at)

    def again(self, host: Host, least_s: float) -> None:
        if self.closing or host in self.waiting:
            return
        self.waiting.add(host)
        bound = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**host.attempts)
        host.attempts += 1
        asyncio.get_running_loop().call_later(
            least_s + random.uniform(0, bound), lambda: asyncio.ensure_future(self.attempt(host))
        )

    async def attempt(self, host: Host) -> None:
        self.waiting.discard(host)
        if host.transport is not None:
            host.drop()
            return
        try:
            await asyncio.get_running_loop().create_connection(lambda: host, self.host, self.port)
        except OSError:
            self.again(host, 0.0)

    async def connect(self, count: int) -> dict[str, Any]:
        begun = self.herd_at = time.monotonic()
        self.current_after = []
        more = [Host(self, f"host-{len(self.hosts) + place}") for place in range(count)]
        self.hosts += more

        async def one(host: Host) -> None:
            async with self.places:
                await self.attempt(host)

        await asyncio.gather(*map(one, more))
        await self.all_current(120)
        return {"seconds": time.monotonic() - begun, **self.state()}

    async def all_current(self, within_s: float) -> bool:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if all(host.current for host in self.hosts):
                return True
            await asyncio.sleep(0.01)
        return False

    async def herd(self) -> dict[str, Any]:
        """Waits until every host is current again after all were cut off; the clock runs from this call."""
        self.herd_at = time.monotonic()
        self.current_after = []
        self.goodbyes, self.refused = {}, 0
        begun = time.monotonic()
        for host in self.hosts:
            host.drop()
        await asyncio.sleep(0)
        done = await self.all_current(180)
        return {"seconds": time.monotonic() - begun, "done": done, **self.state()}

    def state(self) -> dict[str, Any]:
        return {
            "hosts": len(self.hosts),
            "current": sum(host.current for host in self.hosts),
            "refused": self.refused,
            "goodbyes": self.goodbyes,
            "seqs": sorted({host.have.seq if host.have else -1 for host in self.hosts})[-3:],
        }


async def main(host: str, port: int, token: str) -> None:
    fleet = Fleet(host, port, token)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(0, "rb", closefd=False)
    )
    while line := await lines.readline():
        asked = json.loads(line)
        if "connect" in asked:
            answer: dict[str, Any] = await fleet.connect(asked["connect"])
        elif "arrivals" in asked:
            answer = {"arrivals": fleet.arrivals.get(asked["arrivals"], [])}
        elif "herd" in asked:
            answer = await fleet.herd()
        elif "state" in asked:
            answer = fleet.state()
        else:
            break
        print(json.dumps(answer), flush=True)
    fleet.closing = True


if __name__ == "__main__":
    files.allow_many()
    uvloop.install()
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
