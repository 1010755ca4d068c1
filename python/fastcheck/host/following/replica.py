"""A host that holds every customer: what came goes into the arena, then into the checkpoint.

For one change the shell calls, in this order: `apply` (the arena: all or nothing, refused before anything is
visible), `Stream.applied` (the digest), `keep` (the checkpoint's log), then it acknowledges. So nothing is
stored that is refused, and the checkpoint is at the arena's place or before it. Killed

- inside or after `apply`, before `keep`: the arena is ahead of the checkpoint by one step. The next owner
  goes on serving the arena, and asks the hub for the changes after the checkpoint; the arena lets pass what
  it has.
- where `apply` had changed the catalog: the arena's rows are of a catalog that the checkpoint does not know.
  They are loaded anew from the checkpoint, and the change comes again.
- between a snapshot's `apply` and `keep`: the same; of another epoch the checkpoint's rows are loaded.
- inside `keep`: the log ends before the change, as above; a snapshot is complete or was never there.

Where the checkpoint is missing or damaged, the hub is asked for a full transfer, and the arena serves on
until it is there. Where it cannot be written (a full disk), the arena still follows the hub; after `MEND_MS`
the stream begins anew from the checkpoint's place, so that it gets what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastcheck.clock import Clock
from fastcheck.errors import FastcheckError
from fastcheck.host.changes import Ring
from fastcheck.host.following.events import Apply, BeginFull, CompleteFull, Event, Fresh, PieceCame
from fastcheck.host.following.natives import CatalogText, Checkpoint, Natives, Owner
from fastcheck.host.following.rows import Rows, local_failure, refusing
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused

COMPACT_BYTES_MIN: Final = 16 << 20
"""A log shorter than this is not merged into its base."""
SYNC_MS: Final = 1_000
"""Between two syncs of the log: what a power loss can cost is asked for again from the hub."""
MEND_MS: Final = 60_000
"""How long a checkpoint that could not be written is left alone."""
QUICK_BYTES: Final = 64 << 10
"""Changes up to this take microseconds: they need no thread of their own."""


class Replica(Rows):
    """Arena and checkpoint of one directory."""

    def __init__(
        self, directory: Path, natives: Natives, clock: Clock, ring: Ring, bundled: CatalogText | None
    ) -> None:
        super().__init__(directory, natives, clock, ring, bundled)
        self._checkpoint: Checkpoint | None = None
        self._stored: Have | None = None  # Where the checkpoint is; None: nothing that can be continued.
        self._forgotten = False
        self._dirty = False
        self._synced_at = 0
        self._behind_since: int | None = None  # Since when the checkpoint lacks changes.
        self._lost = False  # Whether the arena is not where the stream is.
        self._no_compaction_until = 0

    @property
    def have(self) -> Have | None:
        """What a stream can go on from; None: a full transfer is needed."""
        return None if self._forgotten else self._stored

    @property
    def needs_stream_anew(self) -> bool:
        """Whether the stream should begin anew, from the checkpoint's place."""
        since = self._behind_since
        return self._lost or (since is not None and abs(self._clock.now_ms() - since) >= MEND_MS)

    def forget(self) -> None:
        """The next transfer is a full one."""
        self._forgotten = True

    def open(self) -> None:
        """Adopts the arena, or loads the checkpoint, or begins empty under a bundled catalog. Raises what
        the directory is refused with."""
        now = self._clock.now_ms()
        self._checkpoint = checkpoint = self._natives.checkpoint(str(self.directory / "checkpoint"))
        catalog = self._recover(checkpoint)
        if catalog is not None and self._stored is not None:
            self._owner, self._catalog = self._make_owner(catalog), catalog
            if not self._continues(self._stored):
                try:
                    self._owner.load_checkpoint(checkpoint, now)
                except FastcheckError as error:
                    self._note(f"the checkpoint cannot be loaded, the hub is asked for everything: {error}")
                    self._stored = None
            self.ready = self._stored is not None or self._owner.adopted
        elif self._bundled is not None:
            self._owner, self._catalog = self._make_owner(self._bundled), self._bundled
            self.ready = self._owner.adopted
        self._fill()

    def _recover(self, checkpoint: Checkpoint) -> CatalogText | None:
        recovered = checkpoint.recover()
        if recovered is None:
            return None
        epoch, seq, digest, source, filename = recovered
        try:
            catalog = self._parsed((source, filename))
        except Refused as error:
            self._note(
                f"the checkpoint's catalog is refused, the hub is asked for everything: {error.detail}"
            )
            return None
        self._stored = Have(epoch, seq, digest)
        return catalog

    def _continues(self, stored: Have) -> bool:
        """Whether the arena's rows are those of the checkpoint, or of a change after it."""
        owner = self._need()
        if not owner.adopted or owner.epoch != stored.epoch:
            return False
        return owner.seq > stored.seq or (owner.seq == stored.seq and owner.digest == stored.digest)

    # One event: apply, then keep.

    def quick(self, event: Event) -> bool:
        """Whether an event takes so little time that it needs no thread of its own."""
        return isinstance(event, Fresh) or (
            isinstance(event, Apply) and event.catalog is None and event.size <= QUICK_BYTES
        )

    def apply(self, event: Event) -> Have | None:
        """Makes an event visible: where that brings the stream, None where it changes nothing visible. Raises
        `Refused`, with the last good state in force."""
        try:
            match event:
                case BeginFull():
                    self._need_checkpoint().begin(event.snapshot_bytes)
                case PieceCame():
                    self._need_checkpoint().piece(event.offset, event.data)
                case CompleteFull():
                    return self._complete(event)
                case Apply():
                    return self._change(event)
                case Fresh():
                    self.fresh(event.hub_at_ms)
                    self.ready = True
        except Refused:
            self._abandon(event)
            self._forgotten = True
            raise
        except (FastcheckError, OSError) as error:
            self._abandon(event)
            raise local_failure(error) from error
        return None

    def keep(self, event: Event) -> None:
        """Stores an event that was applied and found right. Raises `Refused` where a snapshot cannot be
        stored; a change that cannot leaves the checkpoint behind."""
        checkpoint = self._need_checkpoint()
        if isinstance(event, CompleteFull):
            try:
                checkpoint.complete(event.at.epoch, event.at.seq, event.at.digest)
            except (FastcheckError, OSError) as error:
                self._abandon(event)
                raise local_failure(error) from error
            self._stored, self._forgotten, self._behind_since = event.at, False, None
        elif isinstance(event, Apply) and self._behind_since is None:
            try:
                if event.catalog is not None:
                    checkpoint.append_catalog(*event.catalog)
                for step in event.steps:
                    checkpoint.append(step.records, step.at.epoch, step.at.seq, step.at.digest)
                    self._stored, self._dirty = step.at, True
            except (FastcheckError, OSError) as error:
                self._fall_behind(error)

    def _complete(self, event: CompleteFull) -> Have:
        checkpoint = self._need_checkpoint()
        with refusing():
            catalog = self._parsed(checkpoint.received_catalog())
        now = self._clock.now_ms()
        self._under(catalog, lambda owner: owner.load_received(checkpoint, now))
        return self.visible

    def _change(self, event: Apply) -> Have:
        now = self._clock.now_ms()
        if event.catalog is not None:
            self._change_catalog(event, event.catalog, now)
            return self._up_to(event.at)
        owner = self._need()
        if not self._ahead_of(event.at):
            with refusing():
                count = owner.put(event.records, event.at.seq, now, epoch=event.at.epoch)
            self._tell(event.records, count)
        return self._up_to(event.at)

    def _ahead_of(self, at: Have) -> bool:
        """Whether the arena shows a later change already, which was applied before the last owner died."""
        owner = self._need()
        return owner.epoch == at.epoch and owner.seq > at.seq

    def _up_to(self, at: Have) -> Have:
        return at if self._ahead_of(at) else self.visible

    def _change_catalog(self, event: Apply, text: tuple[bytes, str], now: int) -> None:
        """Every row is resolved anew from the checkpoint, then the change's own records come on top."""
        catalog = self._parsed(text)
        if self._behind_since is not None:
            raise Refused(frames.GAP, "the checkpoint lacks changes, and a new catalog needs it whole")
        checkpoint = self._need_checkpoint()
        same = self._catalog is not None and self._catalog.catalog.digest == catalog.catalog.digest

        def load(owner: Owner) -> None:
            if not same:
                owner.load_checkpoint(checkpoint, now)
            elif self._ahead_of(event.at):
                return
            owner.put(event.records, event.at.seq, now, epoch=event.at.epoch)

        self._under(catalog, load)

    def _reload(self, owner: Owner) -> None:
        if self._stored is None:
            super()._reload(owner)
        else:
            owner.load_checkpoint(self._need_checkpoint(), self._clock.now_ms())

    def _abandon(self, event: Event) -> None:
        if isinstance(event, (BeginFull, PieceCame, CompleteFull)):
            self._need_checkpoint().abandon()

    def ended(self) -> None:
        """The stream ended: what was half received is forgotten."""
        self._need_checkpoint().abandon()

    def _need_checkpoint(self) -> Checkpoint:
        if self._checkpoint is None:
            raise Refused(frames.UNEXPECTED, "the directory is not open")
        return self._checkpoint

    # What goes on by itself.

    def tick(self) -> None:
        """Syncs the log, and takes note of files that somebody deleted."""
        now = self._clock.now_ms()
        if self._dirty and abs(now - self._synced_at) >= SYNC_MS:
            self._synced_at = now
            try:
                self._need_checkpoint().sync()
                self._dirty = False
            except (FastcheckError, OSError) as error:
                self._fall_behind(error)
        if self._owner is not None and self._owner.detached:
            self._replace_lost_files()

    @property
    def wants_compaction(self) -> bool:
        """Whether the log is long enough to be merged into its base."""
        checkpoint = self._checkpoint
        if checkpoint is None or self._stored is None or self._behind_since is not None:
            return False
        if self._clock.now_ms() < self._no_compaction_until:
            return False
        return checkpoint.log_bytes > max(COMPACT_BYTES_MIN, checkpoint.base_bytes)

    def compact(self) -> None:
        """Merges log and base, beside everything else. Where that fails, the log grows on."""
        try:
            self._need_checkpoint().compact()
        except (FastcheckError, OSError) as error:
            self._no_compaction_until = self._clock.now_ms() + MEND_MS
            self._note(f"the checkpoint's log could not be merged, it grows on: {error}")

    def _fall_behind(self, error: Exception) -> None:
        if self._behind_since is None:
            self._note(f"the checkpoint cannot be written, this host goes on without: {error}")
        self._behind_since = self._clock.now_ms()

    def stream_begins(self) -> None:
        """A stream begins from `have`: what the checkpoint lacked comes again."""
        self._behind_since = None
        self._lost = False

    def _replace_lost_files(self) -> None:
        """Somebody deleted or replaced the mapped files; everybody attaches to new ones, with what is stored.
        Where that is not what was visible, the stream begins anew from there."""
        catalog, owner = self._catalog, self._need()
        if catalog is None:
            return
        owner.retire()
        owner.close()
        self._lost = self._stored is None or self._behind_since is not None
        self._owner = made = self._make_owner(catalog)
        try:
            self._reload(made)
        except FastcheckError:
            self._stored, self._lost = None, True
            raise
        finally:
            self._note("the mapped files were deleted or replaced; they were made anew")

    def close(self) -> None:
        """Syncs, and lets go of the arena."""
        if self._dirty and self._checkpoint is not None:
            self._synced_at = self._clock.now_ms() - SYNC_MS
            self.tick()
        super().close()
