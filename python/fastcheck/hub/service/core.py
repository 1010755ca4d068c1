"""What every part of the service stands on: one call is one transaction; one with a key is done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from ...answers import from_plain, to_plain
from ...clock import Clock
from ...errors import Conflict
from ...wire import name, note, pack, unpack
from .. import catalogs
from ..accounts import Totals
from ..call import Call, in_force
from ..product import EMPTY, CatalogLike, Product, product
from ..requests import ANYBODY, By
from ..store import Store
from ..store.books import Books, StoredCatalog

Answer = TypeVar("Answer")


class Core:
    """A store, a clock, and the catalog in force."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._catalog: CatalogLike | None = None
        self._product: Product = EMPTY

    @property
    def product(self) -> Product:
        """The catalog in force."""
        return self._product

    @property
    def catalog(self) -> CatalogLike:
        """The catalog in force, parsed. Raises `CatalogError` where there is none."""
        return in_force(self._catalog)

    def _run(self, job: Callable[[Call], Answer], by: By = ANYBODY) -> Answer:
        return self._store.run(
            lambda connection: job(
                Call(Books(connection), self._clock.now_ms(), self._product, self._catalog, by)
            )
        )

    def _change(self, job: Callable[[Call], Answer], by: By, *body: object) -> Answer:
        """A mutation. With a key it is done once: asked again with the same body, it answers as it did then;
        with another body it is a `Conflict`. The key and the answer are stored with the change itself."""
        note(by.author, "author")
        note(by.reason, "reason")
        if by.key is None:
            return self._run(job, by)
        checked = name(by.key, "the idempotency key")
        digest = hashlib.sha256(pack(to_plain(body))).digest()

        def once(call: Call) -> Answer:
            known = call.books.answered(checked)
            if known is None:
                answer = job(call)
                call.books.put_answer(checked, call.now, digest, pack(to_plain(answer)))
                return answer
            if known[0] != digest:
                raise Conflict(
                    f"the idempotency key {checked!r:.80} was used for another request: take a new key"
                )
            found: Answer = from_plain(unpack(known[1]))
            return found

        return self._run(once, by)

    def stored_catalog(self) -> StoredCatalog | None:
        """The catalog in force, as it was given."""
        return self._run(lambda call: call.books.catalog())

    def use_catalog(self, catalog: CatalogLike) -> None:
        """Takes the parsed form of the stored catalog; nothing is written."""
        self._product = product(catalog.document())
        self._catalog = catalog

    def set_catalog(
        self,
        catalog: CatalogLike,
        source: bytes,
        filename: str,
        *,
        finals: Sequence[Totals] = (),
        by: By = ANYBODY,
    ) -> bool:
        """Puts a catalog in force; False if it already was. Raises `CatalogError` naming everything in use
        that it would take away, and who uses it."""
        document = catalog.document()
        new = product(document)
        changed = self._change(
            lambda call: catalogs.put(call, catalog, document, new, source, filename, finals),
            by, "set_catalog", source, filename,
        )  # fmt: skip
        stored = self.stored_catalog()
        if stored is not None and stored.digest == catalog.digest:  # A repeated call may be out of date.
            self._catalog, self._product = catalog, new
        return changed

    def catalog_problems(self, catalog: CatalogLike) -> list[str]:
        """What `set_catalog` would refuse; nothing is written."""
        new = product(catalog.document())
        return self._run(lambda call: catalogs.problems(call, catalog, new))
