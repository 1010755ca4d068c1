"""What is told before something ends."""

from __future__ import annotations

from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import Told
from fastcheck.hub.use_cases import end_notices
from fastcheck.hub.use_cases.transaction import Call

NOTICES_PER_CALL = 256


class Events(Core):
    """Events: kept, and told before something ends."""

    def tell_due(self, now: int, limit: int = NOTICES_PER_CALL) -> tuple[Told, ...]:
        """Tells what will end soon and is due at `now` (inclusive), each once; at most `limit` are looked
        at."""
        if not self._read(lambda call: call.books.notices_due(now, 1)):
            return ()

        def job(call: Call) -> tuple[Told, ...]:
            end_notices.tell(call, call.books.notices_due(now, limit))
            return tuple(call.books.told)

        return self._run(job)
