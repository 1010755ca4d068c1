"""What happened, and what is told of it."""

from __future__ import annotations

from fastcheck.errors import NameInvalid
from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import Told
from fastcheck.hub.use_cases import end_notices, reports
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.answers import EventState, Page
from fastcheck.wire.events import Kind
from fastcheck.wire.names import name

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

    def list_events(
        self,
        cursor: str | None = None,
        limit: int = 100,
        kind: str | None = None,
        customer: str | None = None,
    ) -> Page[EventState]:
        """Events, oldest first. Raises `UnknownCustomer`, `NameInvalid` for a kind that there is not."""
        count, after = reports.items(limit), reports.place(cursor, 0)
        if kind is not None and kind not in {one.value for one in Kind}:
            raise NameInvalid(f"no event is of kind {kind!r:.40}: use one of {', '.join(Kind)}")
        checked = None if customer is None else name(customer, "customer")

        def job(call: Call) -> Page[EventState]:
            number = None if checked is None else call.number(checked)
            found = call.books.events_after(after, count + 1, kind, number)
            part = tuple(
                EventState(one.id, one.kind.value, one.at, one.customer, dict(one.data))
                for _, one in found[:count]
            )
            return Page(part, str(found[count - 1][0]) if len(found) > count else None)

        return self._read(job)
