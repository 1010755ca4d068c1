"""One run: some hundred steps drawn from a seed, the oracle after each, then peace, in which all must become
current."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastcheck.host.following import on_demand
from fastcheck.hub.stream import session

from .host import FILES, Host
from .hub import Hub, Link
from .ledger import Ledger

STEPS = 400
PIECE_BYTES = 300
"""Snapshots of the world are small: this makes several pieces of each."""
PEACE_STEPS_MAX = 4_000
"""So many steps without faults must be enough."""


@dataclass
class World:
    """Everything there is."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.choose = choose = random.Random(self.seed)
        self.ledger = Ledger(choose)
        self.hubs = [Hub(self.ledger, choose) for _ in range(choose.choice((1, 1, 2)))]
        self.hosts = [
            Host(f"host-{place}", self.ledger, choose, on_demand=choose.random() < 0.35)
            for place in range(choose.randint(1, 3))
        ]
        self.rough = choose.choice((0.0, 0.02, 0.1))
        for hub in self.hubs:
            hub.rough = self.rough

    def step(self, *, peace: bool = False) -> None:
        """One thing happens somewhere."""
        choose = self.choose
        if not peace:
            self._trouble()
        self.ledger.now += choose.randint(0, 40)
        for _ in range(choose.randint(1, 4)):
            self._progress()

    def _trouble(self) -> None:
        choose, ledger = self.choose, self.ledger
        what = choose.random()
        host, hub = choose.choice(self.hosts), choose.choice(self.hubs)
        if what < 0.30:
            ledger.change()
        elif what < 0.33:
            ledger.change_catalog()
        elif what < 0.36:
            ledger.prune()
        elif what < 0.375:
            ledger.restore()
            self.faults["backup or restore"] += 1
        elif what < 0.39:
            self.faults["hub killed"] += 1
            hub.restart()
        elif what < 0.43:
            self.faults["connection cut"] += 1
            host.cut()
        elif what < 0.45:
            self.faults["host killed"] += 1
            host.kill()
        elif what < 0.48 and host.replica is not None:
            host.disk.countdown = choose.randint(1, 12)
        elif what < 0.49:
            self.faults["power failure"] += 1
            host.kill()
            host.disk.power_failure()
        elif what < 0.50:
            self.faults["drift"] += 1
            host.drift()
        elif what < 0.53:
            self.ledger.now += choose.choice((500, 5_000, 60_000))
        elif what < 0.60 and host.on_demand and host.replica is not None:
            host.want(choose.choice((f"c{choose.randint(1, 14)}", f"a{choose.randint(0, 4)}")))

    def _progress(self) -> None:
        choose = self.choose
        host, hub = choose.choice(self.hosts), choose.choice(self.hubs)
        what = choose.random()
        if host.replica is None:
            host.start()
        elif host.link is None:
            link = Link(hub, host, self.faults)
            hub.links.append(link)
            host.connect(link)
        elif what < 0.15:
            hub.pump()
            hub.publish()
        elif what < 0.55 and host.link.to_host.messages:
            host.receive()
        elif what < 0.75 and host.link.to_hub.messages:
            host.link.receive()
        elif what < 0.95 and host.link.pending:
            host.link.act(host.link.pending.popleft()())
        elif what < 0.97:
            self._tick(hub, host)
        if host.link is not None and host.link.closing and not host.link.to_host.messages:
            host.cut()

    def _tick(self, hub: Hub, host: Host) -> None:
        for link in list(hub.links):
            link.tick()
        if host.stream is not None and host.stream.tick(self.ledger.now) is not None:
            host.cut()
        if host.replica is not None:
            try:
                host.replica.tick()
            except BaseException:  # Killed, in the middle of a sync.
                host.kill()

    def check(self) -> None:
        """The oracle."""
        for host in self.hosts:
            host.check()

    def run(self) -> None:
        """Trouble, then peace. Raises AssertionError where the oracle is contradicted."""
        for _ in range(STEPS):
            self.step()
            self.check()
        for hub in self.hubs:
            hub.rough = 0.0
        for host in self.hosts:
            host.cut()  # What was lost on the way is not waited for.
            host.disk.countdown = None
        for _ in range(PEACE_STEPS_MAX):
            if all(host.current for host in self.hosts):
                break
            self.step(peace=True)
            self.check()
        behind = [host.name for host in self.hosts if not host.current]
        assert not behind, f"{behind} did not become current in peace"
        for host in self.hosts:
            self.faults["killed inside a call"] += host.disk.kills
            self.faults["refusals"] += host.refusals
            self.faults["updates applied"] += host.applied
        for hub in self.hubs:
            self.faults.update({f"hub told {what}": count for what, count in hub.told.items()})


def run(seed: int) -> Counter[str]:
    """One run; what happened in it. Raises AssertionError, with the seed, where a host was ever wrong."""
    world = World(seed)
    try:
        with _in_the_world():
            world.run()
    except BaseException as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    return world.faults


@contextlib.contextmanager
def _in_the_world() -> Iterator[None]:
    """What is of the world in the product's modules, for as long as a run lasts."""
    modules: Any = (session, on_demand)
    before = session.PIECE_BYTES, modules[1].catalog_file
    modules[0].PIECE_BYTES, modules[1].catalog_file = PIECE_BYTES, FILES
    try:
        yield
    finally:
        modules[0].PIECE_BYTES, modules[1].catalog_file = before
