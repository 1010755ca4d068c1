"""Every request of a fixed corpus and what the hub answers, as a file: whoever rewrites the HTTP layer proves
with it that status, headers and body are the same. With `PYTHONPATH=python:tests`:

    python -m models.http_exchange --write          renews tests/hub/http_exchange.json
    python -m models.http_exchange --compare OTHER  tells what differs between OTHER and this tree

The hub runs in this process: its whole application, a ledger in memory, a clock that stands still. Only `app`
knows how it is made; everything else is HTTP. Each section of the corpus has a hub of its own, so that one
difference does not become many. Random values (ids, tokens, secrets, epochs, tags of what holds them) become
placeholders, numbered in each section as they appear; `Fastcheck-Seq` becomes its distance from the one
before."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from models import http_corpus
from models.http_differences import summary
from models.http_mistakes import NOW_MS
from models.http_section import RATE_PER_S, WITHIN_S, App, Asgi, Exchange, Section

FILE = Path(__file__).parents[1] / "hub" / "http_exchange.json"
SETTLES_S = 0.02


@contextlib.contextmanager
def app() -> Iterator[App]:
    """The hub as `fastcheck hub` serves it, but for the socket, the clock, and what it does by itself. The
    one place that knows how it is built."""
    from fastcheck._fastcheck import Catalog, SnapshotWriter
    from fastcheck.clock import ManualClock
    from fastcheck.hub.app import make_app
    from fastcheck.hub.parts import Hub, Settings
    from fastcheck.hub.store.sqlite import SqliteStore
    from rig.serving import Service

    with tempfile.TemporaryDirectory() as directory:
        clock = ManualClock(NOW_MS)
        store = SqliteStore.in_memory()
        try:
            service = Service(store, clock, Catalog.parse, streams=True)
            service.begin_streaming()
            made = service.make_token("first", ("admin",), environment="live", rate_per_s=RATE_PER_S)
            hub = Hub(service, Settings(Path(directory)), SnapshotWriter, clock.now_ms)
            asgi = make_app(hub, service)
            assert made.token is not None
            yield App(asgi, clock.advance, made.token, service.record_usage, service.disable_webhook)
        finally:
            store.close()


@contextlib.asynccontextmanager
async def started(asgi: Asgi) -> AsyncIterator[None]:
    """The application between its start and its end."""
    said: asyncio.Queue[str] = asyncio.Queue()
    ended: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    await ended.put({"type": "lifespan.startup"})

    async def send(message: Any) -> None:
        await said.put(message["type"])

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task = asyncio.ensure_future(asgi(scope, ended.get, send))
    began = await said.get()
    assert began == "lifespan.startup.complete", began
    try:
        yield
    finally:
        # In Python before 3.12 a wake-up of the hub's tasks at this very moment would swallow their end.
        await asyncio.sleep(SETTLES_S)
        await ended.put({"type": "lifespan.shutdown"})
        await asyncio.wait_for(task, WITHIN_S)


# The corpus.


async def _played() -> list[Exchange]:
    exchanges: list[Exchange] = []
    asked: Counter[tuple[str, str, bool]] = Counter()
    routes: set[tuple[str, str]] = set()
    for name, play in http_corpus.SECTIONS.items():
        with app() as made:
            async with started(made.asgi):
                section = Section(name, made, exchanges)
                await section.begin()
                if not routes:
                    routes = await _documented(section)
                await play(section)
                asked += section.asked
    for method, path in sorted(routes):
        for success, word in ((True, "success"), (False, "refusal")):
            assert asked[method, path, success], f"no {word} of {method} {path} is in the corpus"
    return exchanges


async def _documented(section: Section) -> set[tuple[str, str]]:
    """Every operation that the hub says it has."""
    document = (await section.ask("", "GET /v1/openapi.json", quiet=True)).json
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def play() -> list[Exchange]:
    """The whole exchange of this tree."""
    logging.disable(logging.CRITICAL)  # Thousands of refusals.
    gc.disable()  # A fifth of the time.
    try:
        return asyncio.run(_played())
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def load(path: Path = FILE) -> list[Exchange]:
    """A stored exchange."""
    found: list[Exchange] = json.loads(path.read_text())
    return found


def store(exchanges: Sequence[Exchange], path: Path = FILE) -> None:
    """One exchange a line, in the order of the corpus."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=True) for one in exchanges)
    path.write_text(f"[\n{lines}\n]\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or compares."""
    parser = argparse.ArgumentParser(
        prog="python -m models.http_exchange", description=__doc__.split("\n")[0]
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--write", nargs="?", type=Path, const=FILE, metavar="FILE", help=f"default: {FILE.name}"
    )
    what.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="before, and after (default: this tree, played now)",
    )
    parser.add_argument("--every", action="store_true", help="every difference, not some of each kind")
    given = parser.parse_args(arguments)
    if given.write is not None:
        exchanges = play()
        store(exchanges, given.write)
        print(f"{len(exchanges)} exchanges, {given.write.stat().st_size:,} bytes: {given.write}")
        return 0
    if len(given.compare) > 2:
        parser.error("--compare takes one file or two")
    before = load(given.compare[0])
    after = load(given.compare[1]) if len(given.compare) == 2 else play()
    told = summary(before, after, every=given.every)
    sys.stdout.write(told)
    return 0 if told.startswith("all ") else 1


if __name__ == "__main__":
    sys.exit(main())
