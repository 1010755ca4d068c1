"""Coverage-guided fuzzing of what reads bytes of the other side: frames, the host's protocol, the hub's
session, and the hub's WebSocket reader. Needs `atheris`; started by `make prove ONLY=fuzz_frames`.

Asserted: whatever comes is read or refused with a known code; what is read is written again as it was;
changes have no gap; nothing else is raised."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastcheck"]):
    from fastcheck.host.following.events import Apply, CompleteFull
    from fastcheck.host.following.protocol import Stream
    from fastcheck.hub.stream import websocket
    from fastcheck.hub.stream.ring import CatalogText, Ring
    from fastcheck.hub.stream.session import Session, Times
    from fastcheck.wire import frames
    from fastcheck.wire.frames import ALL, ON_DEMAND, Commit, Have, Hello, Intent, Refused, encode
    from rig.frame_samples import FROM_HOST, FROM_HUB

INTENT = encode(Intent(frames.DELTA, 5, 10, 12, 0, 1_000))
START = Have(5, 10, 77)


def known(refused: Refused) -> None:
    assert refused.code in frames.CODES


def host(data: bytes, mode: int) -> None:
    """The host's side, at the beginning and in the middle of a conversation."""
    stream = Stream("fuzz", 1, mode, START, 0)
    stream.hello()
    seq = START.seq
    for message in (INTENT, encode(Commit(5, 11, 78, 0)), data):
        try:
            events = stream.receive(message, 1)
        except Refused as refused:
            known(refused)
            stream.refuse(refused.code, refused.detail)
            return
        for event in events:
            if isinstance(event, Apply):
                assert event.at.seq == seq + len(event.steps), "changes have no gap"
                seq = event.at.seq
                stream.applied(event.at)
            elif isinstance(event, CompleteFull):
                seq = event.at.seq
                stream.applied(event.at)
        stream.answer(Have(5, seq, 0) if not events else Have(5, seq, 1))


def hub(data: bytes) -> None:
    """The hub's side, before and after a hello."""
    ring = Ring()
    ring.begin(5, 10, 77, CatalogText("catalog.yaml", b"catalog"))
    for greeted in (False, True):
        session = Session(ring, Times(), lambda most: most, 0)
        if greeted:
            session.receive(encode(Hello("fuzz", 1, START, ON_DEMAND)), 0)
        session.receive(data, 1)
        for _ in range(4):
            session.go_on(1)
        session.tick(10_000)


def socket(data: bytes) -> None:
    """Bytes of a socket, whole and split."""
    for part in (len(data) or 1, 3):
        reader = websocket.Reader(frames.HOST_MESSAGE_BYTES_MAX)
        try:
            for at in range(0, len(data), part):
                list(reader.feed(data[at : at + part]))
        except websocket.Violation:
            pass


def one(data: bytes) -> None:
    for from_hub in (True, False):
        try:
            for frame in frames.decode(data, from_hub=from_hub):
                assert frames.decode(encode(frame), from_hub=from_hub) == [frame]
        except Refused as refused:
            known(refused)
    try:
        host(data, ALL)
        host(data, ON_DEMAND)
    except Refused as refused:
        known(refused)
    hub(data)
    socket(data)


SEEDS = (*FROM_HOST.values(), *FROM_HUB.values())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(encode(seed))
            (Path(corpus) / f"{number}-sent").write_bytes(websocket.binary([encode(seed)]))
        atheris.Setup([*sys.argv, corpus], one)
        atheris.Fuzz()
