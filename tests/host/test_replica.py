"""What a host makes of events: arena, checkpoint, and what is left of both wherever it is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastcheck.clock import ManualClock
from fastcheck.errors import NotYet, UnknownFeature
from fastcheck.host.changes import Ring
from fastcheck.host.following.events import Apply, BeginFull, CompleteFull, Event, Fresh, PieceCame, Step
from fastcheck.host.following.natives import CatalogText
from fastcheck.host.following.replica import COMPACT_BYTES_MIN, MEND_MS, SYNC_MS, Replica
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused
from fastcheck.wire.record import CustomerRecord, pack_record
from rig.fake_catalog import DOCUMENT, FakeCatalog
from rig.fake_stream_natives import Disk, FakeCheckpoint, Killed, natives, snapshot, total
from rig.instants import MAY_2024_MS

CATALOG = FakeCatalog().source()
_MORE = {"features": DOCUMENT["features"] | {"new": {"kind": "switch", "default": True}}}
OTHER = FakeCatalog(DOCUMENT | _MORE).source()


def record(number: int, version: int = 1, *, deleted: bool = False, feature: str = "export") -> bytes:
    return pack_record(
        CustomerRecord(
            number, f"c{number}", deleted, "pro", version, overrides=((feature, (1,), None, None),)
        )
    )


class Hub:
    """Makes the events of a ledger that goes on and on, with right digests."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self.seq = 0
        self.rows: dict[int, bytes] = {}
        self.catalog = CATALOG

    @property
    def at(self) -> Have:
        return Have(self.epoch, self.seq, total(self.rows))

    def change(self, *records: bytes, catalog: bytes | None = None) -> Apply:
        self.seq += 1
        for one in records:
            number = int.from_bytes(one[1:2], "big")
            self.rows[number] = one
            if one == record(number, deleted=True):
                del self.rows[number]
        self.catalog = catalog or self.catalog
        return Apply(
            (Step(b"".join(records), self.at),), None if catalog is None else (catalog, "c.json"), MAY_2024_MS
        )

    def full(self) -> list[Event]:
        file = snapshot((self.epoch, self.seq, total(self.rows)), self.catalog, self.rows)
        half = len(file) // 2
        return [
            BeginFull(len(file), len(self.rows)),
            PieceCame(0, file[:half]),
            PieceCame(half, file[half:]),
            CompleteFull(self.at, MAY_2024_MS),
        ]


class Fixture:
    """A directory, and the processes that own it one after the other."""

    def __init__(self, directory: Path, bundled: CatalogText | None = None) -> None:
        self.disk = Disk()
        self.clock = ManualClock(MAY_2024_MS)
        self.directory = directory
        self.bundled = bundled
        self.hub = Hub()

    def process(self) -> Replica:
        self.ring = Ring(1)
        replica = Replica(self.directory, natives(self.disk), self.clock, self.ring, self.bundled)
        replica.open()
        replica.stream_begins()
        return replica

    def told(self) -> list[tuple[str, str | None]]:
        found, _ = self.ring.read(0, 0)
        return [(one.kind, one.customer) for one in found]


def feed(replica: Replica, events: list[Event] | Event) -> Have | None:
    """What the shell does; where the stream is afterwards."""
    at = None
    for event in events if isinstance(events, list) else [events]:
        at = replica.apply(event) or at
        replica.keep(event)
    return at


@pytest.fixture
def host(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


def checkpoint_of(replica: Replica) -> FakeCheckpoint:
    checkpoint = replica._checkpoint
    assert isinstance(checkpoint, FakeCheckpoint)
    return checkpoint


def test_a_host_begins_with_nothing_and_is_filled_by_a_snapshot(host: Fixture) -> None:
    replica = host.process()
    assert (replica.have, replica.opened, replica.ready) == (None, False, False)
    assert replica.visible == Have(0, 0, 0)
    assert replica.arena == 0
    with pytest.raises(NotYet):
        replica.pools_behind("gpt-4o")
    host.hub.change(record(1), record(2))
    assert feed(replica, host.hub.full()) == host.hub.at
    assert (replica.have, replica.opened, replica.ready) == (host.hub.at, True, False)
    replica.apply(Fresh(9))
    assert replica.ready  # It has come to where the hub stood when it began.
    assert (replica.visible, replica.arena) == (host.hub.at, 42)
    assert host.disk.rows == host.hub.rows
    assert replica.pools_behind("gpt-4o") == ["ai_credits"]
    assert replica.pools_behind("export") == []
    assert replica.pools_behind(None) == ["ai_credits", "api_calls"]
    with pytest.raises(UnknownFeature):
        replica.pools_behind("other")


def test_nothing_of_a_snapshot_is_visible_or_stored_before_its_commit(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    host.hub.change(record(1))
    *pieces, _ = host.hub.full()
    feed(replica, pieces)
    assert (host.disk.rows, replica.have) == ({}, Have(1, 0, 0))
    replica.ended()
    assert host.process().have == Have(1, 0, 0)


def test_changes_are_told_visible_and_stored(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    assert feed(replica, host.hub.change(record(1), record(2))) == host.hub.at
    feed(replica, host.hub.change(record(2, deleted=True)))
    assert host.disk.rows == {1: record(1)}
    assert replica.have == host.hub.at == replica.visible
    assert host.told() == [("customer_changed", "c1"), ("customer_changed", "c2"), ("customer_deleted", "c2")]
    feed(replica, host.hub.change(*(record(n) for n in range(3, 68))))
    assert len(host.told()) == 3  # A bulk change is not news of each of its customers.


def test_freshness_and_the_link_are_in_the_arena(host: Fixture) -> None:
    replica = host.process()
    replica.link(True)
    feed(replica, Fresh(5))  # Nothing to say it of yet.
    feed(replica, host.hub.full())
    assert host.disk.link  # Said of the arena that came later, too.
    feed(replica, Fresh(7))
    replica.link(True)
    replica.link(False)
    assert (host.disk.fresh, host.disk.link) == ([7], False)
    assert host.told() == [("connected", None), ("disconnected", None)]
    replica.close()
    replica.close()


def test_a_restart_serves_the_arena_and_goes_on_from_the_checkpoint(host: Fixture) -> None:
    first = host.process()
    feed(first, host.hub.full())
    feed(first, host.hub.change(record(1)))
    loads = host.disk.loads
    first.close()
    second = host.process()
    assert (second.have, second.ready, host.disk.loads) == (host.hub.at, True, loads)
    feed(second, host.hub.change(record(2)))
    assert host.disk.rows == host.hub.rows


def test_after_a_boot_the_checkpoint_is_loaded(host: Fixture) -> None:
    feed(first := host.process(), host.hub.full())
    feed(first, host.hub.change(record(1)))
    host.disk.same_boot = False
    host.disk.rows = {}
    second = host.process()
    assert (second.have, second.ready, host.disk.rows) == (host.hub.at, True, {1: record(1)})


def test_an_arena_that_is_not_what_the_checkpoint_says_is_loaded_anew(host: Fixture) -> None:
    feed(first := host.process(), host.hub.full())
    feed(first, host.hub.change(record(1)))
    for damage in ({"seq": 0}, {"epoch": 7}, {"rows": {9: record(9)}}):
        for name, value in damage.items():
            setattr(host.disk, name, value)
        host.process()
        assert (host.disk.rows, host.disk.seq, host.disk.epoch) == ({1: record(1)}, 1, 1)


def test_without_a_checkpoint_the_arena_serves_on_until_everything_came(host: Fixture) -> None:
    feed(first := host.process(), host.hub.full())
    feed(first, host.hub.change(record(1)))
    host.disk.base, host.disk.log = None, []
    second = host.process()
    assert (second.have, second.opened, second.ready) == (None, True, False)
    assert host.disk.rows == {1: record(1)}
    feed(second, host.hub.full())
    assert second.have == host.hub.at


@pytest.mark.parametrize("same_boot", [True, False])
def test_a_bundled_catalog_answers_until_a_hub_is_heard(tmp_path: Path, same_boot: bool) -> None:
    host = Fixture(tmp_path, CatalogText(FakeCatalog(), CATALOG, "bundled"))
    replica = host.process()
    assert (replica.opened, replica.ready, replica.have) == (True, False, None)
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    host.disk.base = None  # The checkpoint is lost: the bundled catalog is that of the arena.
    host.disk.same_boot = same_boot
    again = host.process()
    assert (again.ready, bool(host.disk.rows)) == (same_boot, same_boot)


def test_a_checkpoint_that_cannot_be_loaded_is_asked_for_anew(host: Fixture) -> None:
    feed(first := host.process(), host.hub.full())
    feed(first, host.hub.change(record(1)))
    (epoch, seq, _), records, _ = host.disk.log[-1]
    host.disk.log[-1] = ((epoch, seq, 5), records, None)
    host.disk.same_boot = False
    second = host.process()
    assert (second.have, second.ready) == (None, False)
    assert "asked for everything" in second.notes[0]


def test_a_catalog_of_the_checkpoint_that_is_refused_is_asked_for_anew(
    host: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(host.process(), host.hub.full())
    assert host.disk.base is not None
    host.disk.base = (host.disk.base[0], (b"refuse me", "c"), {})
    monkeypatch.setattr("rig.fake_stream_natives.parse", refusing_parse)
    second = host.process()
    assert second.have is None
    assert "catalog is refused" in second.notes[0]


def refusing_parse(source: bytes, filename: str) -> FakeCatalog:
    from fastcheck.errors import CatalogError

    if source == b"refuse me":
        raise CatalogError(["refused"])
    return FakeCatalog(json.loads(source))


# Catalogs.


def test_another_catalog_resolves_every_row_anew(host: Fixture) -> None:
    replica = host.process()
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    loads = host.disk.loads
    assert feed(replica, host.hub.change(record(2, feature="new"), catalog=OTHER)) == host.hub.at
    assert host.disk.loads == loads + 1
    assert (host.disk.rows, replica.have) == (host.hub.rows, host.hub.at)
    assert ("catalog_changed", None) in host.told()
    assert host.process().have == host.hub.at


def test_a_catalog_that_means_the_same_resolves_nothing(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    loads = host.disk.loads
    feed(replica, host.hub.change(record(1), catalog=CATALOG + b" "))
    assert (host.disk.loads, host.disk.rows) == (loads, host.hub.rows)
    assert host.disk.stored()[1][0] == CATALOG + b" "  # type: ignore[index]


def test_a_refused_change_leaves_everything_as_it_was(host: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.fake_stream_natives.parse", refusing_parse)
    replica = host.process()
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    before = host.hub.at
    for bad in (
        host.hub.change(record(2, feature="unknown")),
        host.hub.change(record(2, feature="unknown"), catalog=OTHER),
        host.hub.change(catalog=b"refuse me"),
    ):
        with pytest.raises(Refused) as caught:
            feed(replica, bad)
        assert caught.value.code == frames.REFUSED
        assert (host.disk.rows, replica.visible, host.disk.catalog) == (
            {1: record(1)},
            before,
            FakeCatalog().digest,
        )
        assert host.disk.stored()[0] == (before.epoch, before.seq, before.digest)  # type: ignore[index]
        assert replica.have is None  # The next transfer is a full one.


def test_a_refused_snapshot_leaves_everything_as_it_was(
    host: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.fake_stream_natives.parse", refusing_parse)
    replica = host.process()
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    before = host.hub.at
    other = Hub(2)
    other.change(record(5, feature="unknown"))
    catalog = Hub(2)
    catalog.catalog = b"refuse me"
    wrong = Hub(2)
    wrong.change(record(5))
    damaged = wrong.full()
    damaged[1] = PieceCame(0, b"?" * len(damaged[1].data))  # type: ignore[union-attr]
    sums = snapshot((2, 1, 5), CATALOG, wrong.rows)
    other_sum: list[Event] = [
        BeginFull(len(sums), 1), PieceCame(0, sums), CompleteFull(Have(2, 1, 5), MAY_2024_MS),
    ]  # fmt: skip
    for events in (other.full(), catalog.full(), damaged, other_sum):
        with pytest.raises(Refused) as caught:
            feed(replica, events)
        assert caught.value.code == frames.REFUSED
        assert (host.disk.rows, replica.visible) == ({1: record(1)}, before)
        assert host.disk.stored()[0][:2] == (1, 1)  # type: ignore[index]
        assert checkpoint_of(replica).abandoned > 0


def test_a_snapshot_under_a_bad_catalog_for_its_records_puts_the_old_one_back(host: Fixture) -> None:
    replica = host.process()
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    other = Hub(2)
    other.catalog = OTHER
    other.change(record(5, feature="unknown"))
    host.disk.catalog = "the rows were lost too"
    with pytest.raises(Refused):
        feed(replica, other.full())
    assert (host.disk.rows, host.disk.catalog) == ({1: record(1)}, FakeCatalog().digest)


# A disk that is full.


def test_a_host_that_cannot_write_its_checkpoint_follows_on_and_mends_it(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    missed = [host.hub.change(record(1))]
    host.disk.full = True
    assert feed(replica, missed[0]) == host.hub.at
    missed.append(host.hub.change(record(2)))
    feed(replica, missed[1])
    assert (replica.visible, replica.have) == (host.hub.at, Have(1, 0, 0))
    assert "goes on without" in replica.notes[0]
    assert not replica.wants_compaction
    with pytest.raises(Refused) as caught:  # It could not be resolved from what is stored.
        feed(replica, Hub_at(host.hub, catalog=OTHER))
    assert caught.value.code == frames.GAP
    replica._forgotten = False
    assert not replica.needs_stream_anew
    host.clock.advance(MEND_MS)
    assert replica.needs_stream_anew
    host.disk.full = False
    replica.stream_begins()
    assert feed(replica, missed[0]) == missed[0].at  # The arena is ahead: it lets it pass.
    assert replica.visible == missed[1].at
    assert feed(replica, missed[1]) == missed[1].at
    assert replica.have == host.hub.at
    assert host.disk.stored()[2] == host.hub.rows


def Hub_at(hub: Hub, catalog: bytes) -> Apply:
    """The next change of a hub, which it forgets again."""
    return Apply((Step(b"", Have(hub.epoch, hub.seq + 1, 0)),), (catalog, "c"), MAY_2024_MS)


def test_an_arena_ahead_lets_a_known_catalog_pass(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    missed = [host.hub.change(record(1), catalog=CATALOG + b" "), host.hub.change(record(2))]
    for one in missed:
        replica.apply(one)  # And killed before it was kept, twice.
    again = host.process()
    assert (again.have, again.visible) == (Have(1, 0, 0), host.hub.at)
    assert feed(again, missed[0]) == missed[0].at
    assert again.visible == host.hub.at
    feed(again, missed[1])
    assert again.have == host.hub.at


def test_a_snapshot_that_cannot_be_written_is_refused_for_now(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    host.hub.change(record(1))
    host.disk.full = True
    with pytest.raises(Refused, match="no space left"):
        feed(replica, host.hub.full())
    host.disk.full = False
    *most, last = host.hub.full()
    feed(replica, most)
    replica.apply(last)
    host.disk.full = True
    with pytest.raises(Refused, match="no space left"):
        replica.keep(last)
    assert replica.have == Have(1, 0, 0)


def test_the_log_is_synced_once_a_second(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    feed(replica, host.hub.change(record(1)))
    replica.tick()
    assert host.disk.synced == 1
    feed(replica, host.hub.change(record(2)))
    replica.tick()
    assert host.disk.synced == 1
    host.clock.advance(SYNC_MS)
    replica.tick()
    assert host.disk.synced == 2
    feed(replica, host.hub.change(record(3)))
    replica.close()
    assert host.disk.synced == 3


def test_a_log_that_cannot_be_synced_is_behind(host: Fixture) -> None:
    replica = host.process()
    feed(replica, host.hub.full())
    feed(replica, host.hub.change(record(1)))
    host.disk.full = True
    replica.tick()
    host.clock.advance(MEND_MS)
    assert replica.needs_stream_anew


def test_a_long_log_is_merged(host: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = host.process()
    assert not replica.wants_compaction
    feed(replica, host.hub.full())
    feed(replica, host.hub.change(record(1)))
    assert not replica.wants_compaction
    monkeypatch.setattr(FakeCheckpoint, "log_bytes", COMPACT_BYTES_MIN + 1)
    assert replica.wants_compaction
    host.disk.full = True
    replica.compact()
    assert not replica.wants_compaction  # Not at once again.
    assert "grows on" in replica.notes[0]
    host.disk.full = False
    host.clock.advance(MEND_MS)
    assert replica.wants_compaction
    replica.compact()
    assert checkpoint_of(replica).compactions == 1
    assert host.process().have == host.hub.at


def test_files_that_somebody_deleted_are_made_anew(host: Fixture) -> None:
    replica = host.process()
    replica.tick()
    host.hub.change(record(1))
    feed(replica, host.hub.full())
    host.disk.deleted, host.disk.rows, host.disk.catalog = True, {}, ""
    replica.tick()
    assert (host.disk.rows, replica.needs_stream_anew) == ({1: record(1)}, False)
    # The checkpoint is behind: the stream begins anew from there.
    host.disk.full = True
    feed(replica, host.hub.change(record(2)))
    host.disk.deleted, host.disk.catalog = True, ""
    replica.tick()
    assert (host.disk.rows, replica.needs_stream_anew) == ({1: record(1)}, True)
    replica.stream_begins()
    assert not replica.needs_stream_anew
    # The checkpoint is damaged as well.
    assert host.disk.base is not None
    (epoch, seq, _), catalog, rows = host.disk.base
    host.disk.base = (epoch, seq, 5), catalog, rows
    host.disk.deleted, host.disk.catalog = True, ""
    with pytest.raises(Exception, match="sum up"):
        replica.tick()
    assert (replica.have, replica.needs_stream_anew) == (None, True)


def test_events_before_the_directory_is_open_are_refused(host: Fixture) -> None:
    replica = Replica(host.directory, natives(host.disk), host.clock, Ring(1), None)
    with pytest.raises(Refused, match="not open"):
        replica.keep(host.hub.change())
    host.process()
    opened = host.process()
    with pytest.raises(Refused, match="before there is anything"):
        opened.apply(host.hub.change())


def test_what_takes_long_is_known(host: Fixture) -> None:
    replica = host.process()
    assert replica.quick(Fresh(1))
    assert replica.quick(host.hub.change(record(1)))
    assert not replica.quick(host.hub.change(catalog=OTHER))
    assert not any(replica.quick(one) for one in host.hub.full())


# Killed at every step.


def test_a_kill_at_any_step_loses_nothing_and_mixes_nothing(tmp_path: Path) -> None:
    """A stream with changes, catalogs, and snapshots of this epoch and of another. The process is killed at
    every step that touches the disk, in turn; the next one must come to the ledger's state from wherever it
    was left, and between two streams nobody may see what the ledger never said."""
    steps, kills = 0, 0
    while True:
        host = Fixture(tmp_path)
        truth: dict[tuple[int, int], dict[int, bytes]] = {}
        script = scripted(host.hub, truth)
        host.disk.steps_left = steps
        furthest = 0
        done = killed = False
        while not done:
            try:
                replica = host.process()
                check_state(host, truth)
                for n in range(where(script, replica.have, furthest), len(script)):
                    furthest, event = max(furthest, n), script[n]
                    feed(replica, event)
                    if killed and not isinstance(event, (BeginFull, PieceCame)):
                        check_state(host, truth)
                done = True
            except Killed:
                killed = True
                kills += 1
                host.disk.steps_left = None
        assert host.disk.rows == host.hub.rows
        assert host.disk.stored()[2] == host.hub.rows  # type: ignore[index]
        if not killed:
            break
        steps += 1
    assert kills > 20


def scripted(hub: Hub, truth: dict[tuple[int, int], dict[int, bytes]]) -> list[Event]:
    """What a host that never breaks would hear."""
    script: list[Event] = []

    def add(*events: Event) -> None:
        script.extend(events)
        truth[hub.epoch, hub.seq] = dict(hub.rows)

    hub.change(record(1), record(2))
    add(*hub.full())
    add(hub.change(record(2, 2), record(3)))
    add(hub.change(record(4, feature="new"), catalog=OTHER))
    add(hub.change(record(1, deleted=True)))
    hub.epoch, hub.seq = 2, 1
    hub.catalog = CATALOG
    hub.rows = {2: record(2, 5), 7: record(7)}
    add(*hub.full())
    add(hub.change(record(7, 2), record(2, 6)))
    return script


def where(script: list[Event], have: Have | None, furthest: int) -> int:
    """Where a hub begins for a host that has this: behind its change, or with its newest snapshot."""
    full = max(n for n, one in enumerate(script[: furthest + 1]) if isinstance(one, BeginFull))
    if have is None:
        return full
    for n, event in enumerate(script):
        if isinstance(event, (Apply, CompleteFull)) and event.at == have:
            return n + 1
    return full


def check_state(host: Fixture, truth: dict[tuple[int, int], dict[int, bytes]]) -> None:
    """What checks see is a state the ledger was in, or one of a change that is being written: each customer
    as before it or as after it."""
    disk = host.disk
    if not disk.catalog:
        return
    before = truth[disk.epoch, disk.seq]
    after = truth.get((disk.epoch, disk.seq + 1), before)
    assert all(disk.rows.get(n) in (before.get(n), after.get(n)) for n in {*before, *after, *disk.rows})
