"""Where the ledger is, and how another life of it begins."""

from __future__ import annotations

from pydantic import Field, StrictStr
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Changes, ReadsBalances
from fastcheck.hub.http.api.bodies import Body
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.by import By
from fastcheck.wire.json import Wide
from fastcheck.wire.names import REASON_BYTES_MAX
from fastcheck.wire.shapes import LedgerPosition

router = subject("epochs")


class Restored(Body):
    """That an older backup was put in the ledger's place."""

    reason: StrictStr = Field(min_length=1, max_length=REASON_BYTES_MAX)


@router.get("/position", **answers(LedgerPosition))
def get_position(asked: ReadsBalances) -> Response:
    """The ledger's epoch and the number of its last change."""
    return asked.answer(LedgerPosition(Wide(asked.service.epoch()), asked.service.seq()))


@router.post("/epochs", **answers(LedgerPosition, changes=True))
def begin_epoch(body: Restored, change: Changes) -> Response:
    """Says that an older backup was put in the ledger's place: a new epoch begins, and every host takes
    everything anew."""
    by = By(change.by.author, body.reason, change.by.key)
    epoch = change.service.new_epoch(by=by)
    return change.done(LedgerPosition(Wide(epoch), change.service.seq()))
