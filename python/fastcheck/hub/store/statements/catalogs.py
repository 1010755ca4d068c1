"""The catalog in force, and the numbers that order changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from fastcheck.hub.catalog.product import Product, product
from fastcheck.hub.catalog.registry import Registry, registry
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import catalogs, meta
from fastcheck.wire.packing import pack, unpack


@dataclass(frozen=True)
class StoredCatalog:
    """The catalog in force."""

    source: bytes
    filename: str
    digest: str
    document: Mapping[str, Any]
    number: int = 0
    lines: Registry | None = None
    """Which of its lines is which; None in rows of earlier builds."""

    def product(self) -> Product:
        """What it stands for."""
        return product(self.document, self.lines)


_COUNTED = select(meta.c.value).where(meta.c.key == bindparam("name"))
_HELD = _COUNTED.with_for_update()
_SHARED = _COUNTED.with_for_update(read=True)
_COUNT = (
    update(meta)
    .where(meta.c.key == bindparam("name"))
    .values(value=meta.c.value + bindparam("count"))
    .returning(meta.c.value)
)
_SET = update(meta).where(meta.c.key == bindparam("name")).values(value=bindparam("new"))
_IN_FORCE = (
    select(
        catalogs.c.source,
        catalogs.c.filename,
        catalogs.c.digest,
        catalogs.c.document,
        catalogs.c.number,
        catalogs.c.lines,
    )
    .order_by(catalogs.c.number.desc())
    .limit(1)
)
_NUMBERED = _IN_FORCE.where(catalogs.c.number == bindparam("of"))
_INSTANTS = select(catalogs.c.at, catalogs.c.number).order_by(catalogs.c.number)
_PUT = insert(catalogs)


class Catalogs(Subject):
    """Catalogs, and the number of the last change."""

    def seq(self) -> int:
        """The number of the last change."""
        return self._value("seq")

    def next_seq(self, count: int = 1) -> int:
        """Takes `count` numbers; the last of them. They are in the order of the commits and without a gap,
        because whoever else wants some waits for the end of this transaction."""
        return self._take("seq", count)

    def take_numbers(self, count: int) -> int:
        """Takes `count` customer numbers; the last of them. As `next_seq`."""
        return self._take("numbers", count)

    def lock_catalog(self, *, exclusive: bool) -> int:
        """The number of the catalog in force, 0 = none. Until the end of the transaction no other catalog is
        put in force; with `exclusive`, nobody else holds this one either."""
        statement = _HELD if exclusive else _SHARED
        return int(self._db.execute(statement, {"name": "catalog"}).scalar_one())

    def catalog_number(self) -> int:
        """The number of the catalog in force, 0 = none."""
        return self._value("catalog")

    def _value(self, name: str) -> int:
        return int(self._db.execute(_COUNTED, {"name": name}).scalar_one())

    def _take(self, name: str, count: int) -> int:
        return int(self._db.execute(_COUNT, {"name": name, "count": count}).scalar_one())

    def catalog(self) -> StoredCatalog | None:
        """The catalog in force."""
        return _stored(self._db.execute(_IN_FORCE).first())

    def catalog_instants(self) -> list[tuple[int, int]]:
        """(instant, number) of each catalog, in order."""
        return [(at, number) for at, number in self._db.execute(_INSTANTS)]

    def numbered_catalog(self, number: int) -> StoredCatalog:
        """A catalog that was once in force."""
        found = _stored(self._db.execute(_NUMBERED, {"of": number}).first())
        assert found is not None, "catalogs are never removed"
        return found

    def put_catalog(
        self, at: int, source: bytes, filename: str, digest: str, document: object, lines: Registry
    ) -> None:
        """Puts another catalog in force."""
        row = {
            "at": at,
            "filename": filename,
            "source": source,
            "digest": digest,
            "document": pack(document),
            "lines": pack(lines.plain()),
        }
        (number,) = self._db.execute(_PUT, row).inserted_primary_key or (0,)
        self._db.execute(_SET, {"name": "catalog", "new": number})


def _stored(row: Any) -> StoredCatalog | None:
    if row is None:
        return None
    source, filename, digest, document, number, lines = row
    known = None if lines is None else registry(unpack(lines))
    return StoredCatalog(source, filename, digest, unpack(document), number, known)
