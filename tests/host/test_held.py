"""A host on demand: what it holds, fetches anew, evicts and keeps over restarts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fastcheck.clock import ManualClock
from fastcheck.errors import DirectoryError
from fastcheck.host.changes import Ring
from fastcheck.host.following import catalog_file, on_demand
from fastcheck.host.following.events import Apply, BeginFull, CompleteFull, Event, FoundCustomers, Fresh, Step
from fastcheck.host.following.natives import CatalogText
from fastcheck.host.following.on_demand import HeldReplica
from fastcheck.host.following.protocol import Stream
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Intent, Refused, Want
from fastcheck.wire.record import CustomerRecord, pack_record
from host.test_replica import CATALOG, OTHER, refusing_parse
from rig.fake_catalog import FakeCatalog
from rig.fake_stream_natives import Disk, FakeOwner, natives
from rig.instants import MAY_2024_MS


def record(number: int, version: int = 1, *, deleted: bool = False, feature: str = "export") -> bytes:
    return pack_record(
        CustomerRecord(
            number, f"c{number}", deleted, "pro", version, overrides=((feature, (1,), None, None),)
        )
    )


class World:
    """A directory, its processes one after the other, and a hub that answers at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = Disk()
        self.clock = ManualClock(MAY_2024_MS)
        self.bundled: CatalogText | None = None
        self.seq = 0
        self.epoch = 1
        self.rows: dict[int, bytes] = {}
        self.catalog = CATALOG
        self.settled: dict[str, bool] = {}

    def process(self, customers_max: int = 10) -> HeldReplica:
        self.ring = Ring(1)
        replica = HeldReplica(
            self.directory,
            natives(self.disk),
            self.clock,
            self.ring,
            self.bundled,
            customers_max=customers_max,
        )
        replica.settled = self.settled.update
        replica.open()
        self.connect(replica)
        return replica

    def connect(self, replica: HeldReplica) -> None:
        """A stream begins: from what the host has, or with everything."""
        replica.stream_begins()
        self.stream = Stream("h", 1, frames.ON_DEMAND, Have(self.epoch, self.seq, 0), 0)
        self.stream.hello()
        self.stream.receive(frames.encode(Intent(frames.NONE, self.epoch, self.seq, self.seq, 0, 1_000)), 0)

    def full(self) -> list[Event]:
        return [
            BeginFull(0, 0),
            CompleteFull(Have(self.epoch, self.seq, 0), MAY_2024_MS, (self.catalog, "c.json")),
        ]

    def change(self, *records: bytes, catalog: bytes | None = None) -> Apply:
        self.seq += 1
        for one in records:
            number = one[1]
            self.rows[number] = one
            if one == record(number, deleted=True):
                del self.rows[number]
        self.catalog = catalog or self.catalog
        return Apply(
            (Step(b"".join(records), Have(self.epoch, self.seq, 0)),),
            None if catalog is None else (catalog, "c.json"),
            MAY_2024_MS,
        )

    def questions(self, replica: HeldReplica) -> list[Want]:
        asked = [frames.decode(one, from_hub=False)[0] for one in replica.ask(self.stream)]
        return [one for one in asked if isinstance(one, Want)]

    def answer(self, want: Want) -> FoundCustomers:
        """The hub's answer; the stream forgets the question as it would."""
        known = {f"c{number}": data for number, data in self.rows.items()}
        missing = tuple(key for key in want.keys if key not in known)
        data = b"".join(known[key] for key in want.keys if key in known)
        self.stream.receive(frames.encode(frames.Found(want.id, self.seq, missing, data)), 0)
        return FoundCustomers(want.id, self.seq, want.keys, missing, data)

    def fetch(self, replica: HeldReplica, *keys: str) -> dict[str, bool]:
        self.settled.clear()
        for key in keys:
            replica.demand.ask(key)
        for want in self.questions(replica):
            feed(replica, self.answer(want))
        return dict(self.settled)


def feed(replica: HeldReplica, *events: Event) -> Have | None:
    at = None
    for event in events:
        at = replica.apply(event) or at
        replica.keep(event)
    return at


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def owner_of(replica: HeldReplica) -> FakeOwner:
    owner = replica._owner
    assert isinstance(owner, FakeOwner)
    return owner


def test_a_host_begins_with_nobody_and_fetches_who_is_asked_for(world: World) -> None:
    replica = world.process()
    assert (replica.have, replica.ready, replica.opened) == (None, False, False)
    world.change(record(1), record(2))
    assert feed(replica, *world.full()) == Have(1, 1, 0)
    assert (replica.ready, replica.opened, replica.visible.seq) == (False, True, 1)
    assert owner_of(replica).on_demand == 11
    assert world.fetch(replica, "c1", "nobody") == {"c1": True, "nobody": False}
    assert world.disk.rows == {1: record(1)}
    assert not replica.needs_stream_anew
    assert not replica.wants_compaction
    replica.compact()
    replica.ended()
    feed(replica, Fresh(9))
    assert (world.disk.fresh, replica.ready) == ([9], True)


def test_changes_are_kept_of_who_is_held_and_told_of_all(world: World) -> None:
    replica = world.process()
    world.change(record(1), record(2))
    feed(replica, *world.full())
    world.fetch(replica, "c1", "nobody")
    assert feed(replica, world.change(record(1, 2), record(2, 2))) == replica.visible == replica.have
    assert world.disk.rows == {1: record(1, 2)}
    assert [one.customer for one in world.ring.read(0, 0)[0]] == ["c1", "c2"]
    feed(replica, world.change(record(1, deleted=True)))
    assert world.disk.rows == {}


def test_a_restart_holds_who_was_held_and_goes_on(world: World) -> None:
    first = world.process()
    world.change(record(1))
    feed(first, *world.full())
    world.fetch(first, "c1")
    first.close()
    path = world.directory / "catalog"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = world.process()
    assert (second.have, second.ready) == (Have(1, 1, second.visible.digest), True)
    assert world.disk.rows == {1: record(1)}
    world.disk.same_boot = False
    third = world.process()
    assert (third.have, third.ready, world.disk.rows) == (None, False, {})


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x94\x01\xc4\x01x\xa1f\xc4\x01y"])
def test_a_damaged_catalog_is_fetched_again(world: World, damage: bytes) -> None:
    feed(world.process(), *world.full())
    (world.directory / "catalog").write_bytes(damage)
    assert world.process().have is None


def test_a_stored_catalog_that_is_refused_is_fetched_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.fake_stream_natives.parse", refusing_parse)
    catalog_file.write(world.directory / "catalog", b"refuse me", "c")
    world.bundled = CatalogText(FakeCatalog(), CATALOG, "bundled")
    replica = world.process()
    assert "refused" in replica.notes[0]
    assert replica.opened  # Under the bundled one.


def test_a_catalog_that_cannot_be_read_or_written_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.directory / "catalog"
    path.mkdir()
    with pytest.raises(DirectoryError):
        world.process()
    path.rmdir()
    replica = world.process()
    path.mkdir()
    feed(replica, *world.full())
    assert "cannot be stored" in replica.notes[0]
    path.rmdir()
    feed(replica, *world.full())
    assert catalog_file.read(path) == (CATALOG, "c.json")


def test_after_a_gap_all_who_are_held_are_fetched_anew_while_the_old_state_serves(world: World) -> None:
    replica = world.process()
    world.change(*(record(n) for n in range(1, 6)))
    feed(replica, *world.full())
    world.fetch(replica, *(f"c{n}" for n in range(1, 5)), "nobody")
    before = dict(world.disk.rows)
    world.change(record(1, 2), record(2, deleted=True))  # Never heard of.
    replica.forget()
    assert replica.have is None
    world.connect(replica)
    at = feed(replica, *world.full())
    assert at == Have(1, 2, 0)
    assert (world.disk.rows, replica.visible.seq) == (before, 1)
    assert not replica.demand.known_missing("nobody")
    feed(replica, Fresh(77))
    assert 77 not in world.disk.fresh  # It is not.
    assert not replica.quick(world.change(record(3, 2)))
    feed(replica, world.change(record(4, 2), record(9)))
    assert world.disk.rows == before
    # Somebody is asked for meanwhile.
    assert world.fetch(replica, "c5") == {"c5": True}
    for want in world.questions(replica):
        feed(replica, world.answer(want))
    assert world.disk.rows == {1: record(1, 2), 3: record(3, 2), 4: record(4, 2), 5: record(5)}
    assert replica.visible.seq == world.seq
    assert replica.have == replica.visible


def test_another_catalog_fetches_all_anew_under_it(world: World) -> None:
    replica = world.process()
    world.change(record(1), record(2))
    feed(replica, *world.full())
    world.fetch(replica, "c1")
    old = world.disk.catalog
    assert feed(replica, world.change(record(1, feature="new"), catalog=OTHER)) == Have(1, 2, 0)
    assert (world.disk.catalog, world.disk.rows) == (old, {1: record(1)})
    # What needs the new catalog cannot be put yet; it comes with the whole.
    world.change(record(2, feature="new"))
    assert world.fetch(replica, "c2") == {}  # The answer is ahead of the stream.
    feed(replica, Apply((Step(record(2, feature="new"), Have(1, 3, 0)),), None, MAY_2024_MS))
    for _ in range(3):
        for want in world.questions(replica):
            feed(replica, world.answer(want))
    assert world.disk.catalog == FakeCatalog(replica._catalog.catalog.document()).digest != old  # type: ignore[union-attr]
    assert world.disk.rows[1] == record(1, feature="new")
    assert catalog_file.read(world.directory / "catalog") == (OTHER, "c.json")
    again = world.process()
    assert again.have == again.visible == Have(1, 3, again.visible.digest)


def test_a_catalog_that_means_the_same_fetches_nothing(world: World) -> None:
    replica = world.process()
    world.change(record(1))
    feed(replica, *world.full())
    world.fetch(replica, "c1")
    feed(replica, world.change(record(1, 2), catalog=CATALOG + b" "))
    assert (world.disk.rows, world.questions(replica)) == ({1: record(1, 2)}, [])


def test_two_catalogs_in_a_row_come_into_force_as_the_last(world: World) -> None:
    replica = world.process()
    world.change(record(1))
    feed(replica, *world.full())
    world.fetch(replica, "c1")
    feed(replica, world.change(catalog=OTHER))
    third = FakeCatalog(FakeCatalog().document() | {"third": {}})
    feed(replica, world.change(catalog=third.source()))
    for want in world.questions(replica):
        feed(replica, world.answer(want))
    assert world.disk.catalog == third.digest


def test_pages_leave_questions_for_who_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "HELD_PAGE", 3)
    monkeypatch.setattr("fastcheck.host.following.refetch.KEYS_PER_WANT_MAX", 2)
    replica = world.process(100)
    world.change(*(record(n) for n in range(1, 31)))
    feed(replica, *world.full())
    world.fetch(replica, *(f"c{n}" for n in range(1, 30)))
    world.change(record(1, 2))
    world.connect(replica)
    feed(replica, *world.full())
    pages = world.questions(replica)
    assert (len(pages), world.stream.wants_left) == (6, 2)
    replica.demand.ask("c30")
    [urgent] = world.questions(replica)
    assert urgent.keys == ("c30",)
    todo = [*pages, urgent]
    while todo:
        feed(replica, world.answer(todo.pop(0)))
        todo.extend(world.questions(replica))
    assert world.disk.rows == world.rows


def test_the_bound_of_who_is_held_evicts(world: World) -> None:
    replica = world.process(10)
    world.change(*(record(n) for n in range(1, 14)))
    feed(replica, *world.full())
    world.fetch(replica, *(f"c{n}" for n in range(1, 12)))
    assert (len(world.disk.rows), owner_of(replica).evictions) == (11, 0)
    world.fetch(replica, "c12")
    assert (len(world.disk.rows), owner_of(replica).evictions) == (10, 1)


def test_what_is_refused_leaves_the_last_good_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.fake_stream_natives.parse", refusing_parse)
    replica = world.process()
    world.change(record(1))
    feed(replica, *world.full())
    world.fetch(replica, "c1")
    rows = dict(world.disk.rows)
    for bad in (world.change(record(1, feature="unknown")), world.change(catalog=b"refuse me")):
        with pytest.raises(Refused) as caught:
            feed(replica, bad)
        assert caught.value.code == frames.REFUSED
        assert (world.disk.rows, replica.have) == (rows, None)
    world.rows[2] = record(2, feature="unknown")
    world.connect(replica)
    replica.demand.begin(world.seq)
    with pytest.raises(Refused):
        world.fetch(replica, "c2")
    assert world.disk.rows == rows


def test_a_failure_of_this_host_forgets_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = world.process()
    world.change(record(1))
    feed(replica, *world.full())
    have = replica.have

    def fails(*_args: object, **_more: object) -> None:
        raise DirectoryError("rows", "no space left", "make room")

    monkeypatch.setattr(FakeOwner, "put_held", fails)
    with pytest.raises(Refused, match="no space left"):
        feed(replica, world.change(record(1, 2)))
    assert replica.have == have


def test_files_that_somebody_deleted_are_made_anew_with_nobody(world: World) -> None:
    replica = world.process()
    replica.tick()
    world.change(record(1))
    feed(replica, *world.full())
    world.fetch(replica, "c1")
    world.disk.deleted = True
    replica.tick()
    assert (world.disk.rows, replica.visible.seq) == ({}, 1)
    assert "made anew" in replica.notes[0]
    assert world.fetch(replica, "c1") == {"c1": True}
    feed(replica, world.change(record(1, 2)))
    assert world.disk.rows == {1: record(1, 2)}


def test_a_stray_page_of_an_earlier_stream_is_let_pass(world: World) -> None:
    replica = world.process()
    world.change(record(1))
    feed(replica, *world.full())
    replica._pages.add(99)
    feed(replica, FoundCustomers(99, 1, ("c1",), (), record(1)))
    assert world.disk.rows == {}


def test_what_takes_long_is_known(world: World) -> None:
    replica = world.process()
    assert replica.quick(Fresh(1))
    assert replica.quick(world.change(record(1)))
    assert replica.quick(FoundCustomers(1, 1, (), (), b""))
    assert not replica.quick(world.change(catalog=OTHER))
    assert not any(replica.quick(one) for one in world.full())
