"""What administrators do, with the cells it concerns closed before and lent anew after."""

from __future__ import annotations

from fastcheck.errors import CatalogError
from fastcheck.host.embedded.adoption import Adoption
from fastcheck.host.embedded.arena import Given
from fastcheck.wire.by import ANYBODY, By


class Changes(Adoption):
    """Changes of grants and the catalog; balances to this moment."""

    def set_catalog(self, given: Given, by: By = ANYBODY) -> bool:
        """Puts a catalog in force for every process; False if it already was."""
        problems = self._service.catalog_problems(given.catalog)
        if problems:
            raise CatalogError(problems)
        with self._publication(), self._stripes.hold(None):
            keys = list(self._held)
            finals = self._close(keys)
            try:
                changed = self._service.set_catalog(
                    given.catalog, given.source, given.filename, finals=finals, by=by
                )
                if changed:
                    self._need().close()
                    self._arena = self._make_arena(given.catalog)
                    self._load()
            finally:
                if keys:
                    self._reopen(keys, finals)
        self.ring.tell("catalog_changed", self._clock.now_ms())
        return changed
