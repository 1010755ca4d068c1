"""The catalog."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.wire.operations.catalog import CheckCatalog, SetCatalog, source_of
from fastcheck.wire.shapes import CatalogCheck


class CatalogAdmin(AdminBase):
    """What is sold."""

    def set_catalog(self, source: bytes | str, *, filename: str = "<catalog>", reason: str = "") -> bool:
        """Puts a catalog (its text) in force in every process; False if it was already. Raises `CatalogError`
        for mistakes, and for what customers use that it would take away.

        >>> source = open("catalog.yaml").read()
        >>> ents.admin.set_catalog(source.replace("seats: 25", "seats: 30"), filename="catalog.yaml")
        True
        >>> ents.limit("acme", "seats")
        30
        """
        return self._ask(SetCatalog(source_of(source), filename), reason).changed

    def check_catalog(self, source: bytes | str, *, filename: str = "<catalog>") -> CatalogCheck:
        """What `set_catalog` would refuse a catalog for, and what it would do to whose grants; nothing is
        changed. Raises `WrongType`.

        >>> source = open("catalog.yaml").read()
        >>> checked = ents.admin.check_catalog(source.replace("seats: 25", "seats: 30"))
        >>> checked.problems, checked.effects
        ((), ())
        """
        return self._ask(CheckCatalog(source_of(source), filename))
