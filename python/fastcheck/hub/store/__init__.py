"""Where the ledger is kept: SQLite and PostgreSQL, tables and migrations, one file of statements a subject.

May import: base, ledger, wire, directory, hub.catalog.
Boundaries: A store gives a job its transaction; statements read and write rows. Neither decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # Only the process that owns a ledger loads SQLAlchemy.
    from sqlalchemy import Connection

    from fastcheck.hub.store.answer import Pending
    from fastcheck.hub.store.election import Elected

Answer = TypeVar("Answer")
Job = Callable[["Connection"], Answer]
"""What one transaction does. It may be run again from its beginning, so it changes nothing but the tables."""


class Again(Exception):
    """Raised by a job that finds that another has overtaken it: the store runs it anew. Only where several
    write at once."""


class Store(Protocol):
    """A ledger that runs jobs, each undone alone when it raises."""

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        ...

    def submit(self, job: Job[Answer]) -> Pending[Answer]:
        """Runs a job soon; its answer comes once what it did is on disk. Raises `Closed`."""
        ...

    def run(self, job: Job[Answer]) -> Answer:
        """`submit` and wait. Raises what the job raised; `DirectoryError` or `StoreError` where the ledger
        cannot be used; `OutcomeUnknown` where nobody can tell whether it was done."""
        ...

    def read(self, job: Job[Answer]) -> Answer:
        """Runs a job that changes nothing; all that it reads is of one instant. Raises as `run`."""
        ...

    def scan(self, job: Job[Answer]) -> Answer:
        """As `read`, in the thread that asks and for as long as it takes: others go on writing meanwhile,
        where the ledger is not in memory alone."""
        ...

    def elect(self, name: str) -> Elected:
        """A candidate for what one of the hubs of this ledger does: `held()` says whether it is this one."""
        ...

    def close(self) -> None:
        """Finishes what waits. Again: nothing."""
        ...
