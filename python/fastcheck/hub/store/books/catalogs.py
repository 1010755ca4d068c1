"""The catalog in force, and the numbers that order changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from ....wire import pack, unpack
from ..tables import catalogs, meta
from .subject import Subject


@dataclass(frozen=True)
class StoredCatalog:
    """The catalog in force."""

    source: bytes
    filename: str
    digest: str
    document: Mapping[str, Any]


_SEQ = select(meta.c.value).where(meta.c.key == "seq")
_NEXT_SEQ = update(meta).where(meta.c.key == "seq").values(value=meta.c.value + bindparam("count"))
_IN_FORCE = (
    select(catalogs.c.source, catalogs.c.filename, catalogs.c.digest, catalogs.c.document)
    .order_by(catalogs.c.number.desc())
    .limit(1)
)
_AT = (
    select(catalogs.c.source, catalogs.c.filename, catalogs.c.digest, catalogs.c.document)
    .where(catalogs.c.at <= bindparam("at"))
    .order_by(catalogs.c.number.desc())
    .limit(1)
)
_PUT = insert(catalogs)


class Catalogs(Subject):
    """Catalogs, and the number of the last change."""

    def seq(self) -> int:
        """The number of the last change."""
        return int(self._db.execute(_SEQ).scalar_one())

    def next_seq(self, count: int = 1) -> int:
        """Takes `count` numbers; the last of them."""
        self._db.execute(_NEXT_SEQ, {"count": count})
        return self.seq()

    def catalog(self) -> StoredCatalog | None:
        """The catalog in force."""
        row = self._db.execute(_IN_FORCE).first()
        return None if row is None else StoredCatalog(row[0], row[1], row[2], unpack(row[3]))

    def catalog_at(self, at: int) -> StoredCatalog | None:
        """The catalog that was in force at an instant."""
        row = self._db.execute(_AT, {"at": at}).first()
        return None if row is None else StoredCatalog(row[0], row[1], row[2], unpack(row[3]))

    def put_catalog(self, at: int, source: bytes, filename: str, digest: str, document: object) -> None:
        """Puts another catalog in force."""
        row = {"at": at, "filename": filename, "source": source, "digest": digest, "document": pack(document)}
        self._db.execute(_PUT, row)
