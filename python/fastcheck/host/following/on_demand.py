"""A host on demand: it holds the customers that were asked for, and keeps them right.

The arena is at every moment what the ledger said, of the customers it holds, at the arena's number
(`demand`). What was missed (a full transfer), or means something else (another catalog), is fetched anew as a
whole while the last good state stays in force (`refetch`).

On disk there is the catalog alone; rows outlive processes in the arena. Killed

- inside a change: it comes again, and makes of the rows what it made before;
- while everything is fetched anew: the arena is at its old number, and the hub gives what is missing, or all;
- between a new catalog's rows and its file: the rows are of another catalog, so nothing is held any more, and
  customers are fetched as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastcheck.clock import Clock
from fastcheck.errors import FastcheckError
from fastcheck.host.changes import Ring
from fastcheck.host.following import catalog_file
from fastcheck.host.following.demand import Demand, Taken
from fastcheck.host.following.events import Apply, CompleteFull, Event, FoundCustomers, Fresh
from fastcheck.host.following.natives import CatalogText, Natives, Owner
from fastcheck.host.following.protocol import Stream
from fastcheck.host.following.records import split
from fastcheck.host.following.refetch import Refetch
from fastcheck.host.following.rows import Rows, local_failure, refusing
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused

HELD_PAGE: Final = 65_536
"""Ids read from the arena at once."""
WANTS_FOR_TOUCHES: Final = 2
"""Of the open questions, so many are kept free of pages, for customers that somebody waits for."""
QUICK_BYTES: Final = 64 << 10


class HeldReplica(Rows):
    """The rows of the customers that are held."""

    mode = frames.ON_DEMAND

    def __init__(
        self,
        directory: Path,
        natives: Natives,
        clock: Clock,
        ring: Ring,
        bundled: CatalogText | None,
        *,
        customers_max: int,
    ) -> None:
        super().__init__(directory, natives, clock, ring, bundled)
        self._customers_max = customers_max
        self.capacity = customers_max + max(customers_max // 10, 1)
        self.settled: Callable[[dict[str, bool]], None] = lambda keys: None
        """Is told what became of keys that were asked for."""
        self.demand = Demand()
        self._pages: set[int] = set()  # Open questions that are pages of a refetch.
        self._refetch: Refetch | None = None
        self._next_catalog: CatalogText | None = None
        self._at: Have | None = None  # Where the stream is; the arena is behind it during a refetch.
        self._have: Have | None = None
        self._stored = False  # Whether the catalog in force is in its file.

    @property
    def have(self) -> Have | None:
        """What a stream can go on from: the arena's place. None: what is held must be fetched anew."""
        return self._have

    @property
    def needs_stream_anew(self) -> bool:
        return False

    @property
    def wants_compaction(self) -> bool:
        return False

    def compact(self) -> None:
        """There is no log."""

    def forget(self) -> None:
        """What is held is fetched anew next."""
        self._have = None

    def open(self) -> None:
        """Adopts the arena, or begins with nobody. Raises what the directory is refused with."""
        stored = catalog_file.read(self.directory / "catalog")
        catalog = self._bundled
        if stored is not None:
            try:
                catalog = self._parsed(stored)
                self._stored = True
            except Refused as error:
                self._note(f"the stored catalog is refused, the hub is asked for it: {error.detail}")
        if catalog is None:
            return
        self._owner, self._catalog = self._make_owner(catalog), catalog
        if self._owner.adopted:
            self._have = self.visible if self._owner.epoch > 0 else None
            self.ready = self._have is not None
        else:
            self._owner.load([], 0, self._clock.now_ms(), epoch=0)

    def stream_begins(self) -> None:
        """A stream begins: what the last one left open is asked for again."""
        position = self._have.seq if self._have is not None else 0
        self._pages.clear()
        self._at = self._have
        self._refetch = self._next_catalog = None
        self.demand.begin(position)

    def ended(self) -> None:
        """The stream ended."""

    def tick(self) -> None:
        """Takes note of files that somebody deleted."""
        owner, catalog = self._owner, self._catalog
        if owner is not None and catalog is not None and owner.detached:
            owner.retire()
            owner.close()
            self._owner = self._make_owner(catalog)
            at = self._at or Have(0, 0, 0)
            self._owner.load([], at.seq, self._clock.now_ms(), epoch=at.epoch)
            self._note("the mapped files were deleted or replaced; they were made anew")

    # Events.

    def quick(self, event: Event) -> bool:
        """Whether an event takes so little time that it needs no thread of its own."""
        if isinstance(event, Apply):
            return event.catalog is None and event.size <= QUICK_BYTES and self._refetch is None
        return isinstance(event, Fresh) or (
            isinstance(event, FoundCustomers) and len(event.records) <= QUICK_BYTES and self._refetch is None
        )

    def apply(self, event: Event) -> Have | None:
        """Makes an event visible: where the stream is after it, None where that is unchanged. Raises
        `Refused`, with the last good state in force."""
        try:
            match event:
                case CompleteFull():
                    self._complete(event)
                    return event.at
                case Apply():
                    self._change(event)
                    return event.at if self._refetch is not None else self.visible
                case FoundCustomers():
                    self._found(event)
                case Fresh() if self._refetch is None:
                    self.fresh(event.hub_at_ms)
                    self.ready = True
        except Refused:
            self.forget()
            raise
        except (FastcheckError, OSError) as error:
            raise local_failure(error) from error
        return None

    def keep(self, event: Event) -> None:
        """Nothing of an event is stored but in the arena."""

    def _complete(self, event: CompleteFull) -> None:
        self._at = event.at
        self.demand.begin(event.at.seq)
        self.demand.forget_missing()
        if event.catalog is not None:  # The protocol refuses a full transfer without.
            self._begin_refetch(event.at, self._parsed(event.catalog))

    def _begin_refetch(self, at: Have, catalog: CatalogText) -> None:
        self._next_catalog = catalog
        self._refetch = Refetch(at.seq, self._held_ids())
        self._finish_refetch()

    def _held_ids(self) -> list[str]:
        found: list[str] = []
        after = 0
        while self._owner is not None:
            page = self._owner.held_keys(after, HELD_PAGE)
            if not page:
                break
            found.extend(id for _, id in page)
            after = page[-1][0]
        return found

    def _change(self, event: Apply) -> None:
        if event.catalog is not None:
            catalog = self._parsed(event.catalog)
            if self._catalog is None or catalog.catalog.digest != self._catalog.catalog.digest:
                if self._refetch is None:
                    self._begin_refetch(self._at or self.visible, catalog)
                else:
                    self._next_catalog = catalog
        self._at = event.at
        if self._refetch is not None:
            self._refetch.passed(event.at.seq, event.records)
            named = list(split(event.records))
            numbers, keys = [one.number for one in named], [key for one in named for key in one.keys]
        else:
            with refusing():
                numbers, keys = self._need().put_held(
                    event.records, event.at.seq, self._clock.now_ms(), epoch=event.at.epoch
                )
            self._have = self.visible
            self._tell(event.records, len(numbers))
        self._take(self.demand.passed(event.at.seq, numbers, keys))
        self._finish_refetch()

    def _found(self, answer: FoundCustomers) -> None:
        if answer.id in self._pages:
            self._pages.discard(answer.id)
            if self._refetch is not None:
                self._refetch.found(answer)
        else:
            if self._refetch is not None:
                self._refetch.also(answer)
            self._take(self.demand.found(answer))
        self._finish_refetch()

    def _take(self, taken: Taken) -> None:
        if taken.records:
            try:
                with refusing():
                    self._need().put_found(taken.records, self._clock.now_ms())
            except Refused:
                if self._refetch is None:
                    raise
                # They may need the catalog that comes into force with the whole new state.
            owner = self._need()
            if self.capacity is not None and owner.held() > self.capacity:
                owner.evict(self._customers_max)
        if taken.keys:
            self.settled(taken.keys)

    def _finish_refetch(self) -> None:
        """Puts the whole new state in force, once it is complete."""
        refetch, catalog, at = self._refetch, self._next_catalog, self._at
        if refetch is None or catalog is None or at is None or not refetch.complete:
            return
        now = self._clock.now_ms()

        def load(owner: Owner) -> None:
            owner.load(refetch.chunks(), at.seq, now, epoch=at.epoch)

        unstored = self._catalog is None or self._catalog.source != catalog.source
        self._under(catalog, load)
        self._refetch = self._next_catalog = None
        self._have = self.visible
        if unstored or not self._stored:
            try:
                catalog_file.write(self.directory / "catalog", catalog.source, catalog.filename)
                self._stored = True
            except FastcheckError as error:
                self._stored = False
                self._note(f"the catalog cannot be stored, a restart will fetch all anew: {error}")

    # Questions.

    def ask(self, stream: Stream) -> list[bytes]:
        """The questions that can be asked now: customers that somebody waits for come first."""
        messages = []
        while stream.wants_left > 0:
            keys = self.demand.next_keys()
            page = not keys
            if page and self._refetch is not None and stream.wants_left > WANTS_FOR_TOUCHES:
                keys = self._refetch.next_keys()
            if not keys:
                break
            id, message = stream.want(keys)
            if page:
                self._pages.add(id)
            messages.append(message)
        return messages
