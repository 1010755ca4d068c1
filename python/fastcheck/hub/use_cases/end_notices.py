"""Tells what is about to end, each end once; what is not true any more is passed over."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.amounts import credits
from fastcheck.hub.store.statements import StoredCustomer, StoredNotice
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.events import Kind, Value


def tell(call: Call, due: Sequence[StoredNotice]) -> None:
    """Tells what is due, each once; what is not true any more is passed over."""
    call.statements.lock(one.number for one in due)
    for one in due:
        if not call.statements.take_notice(one, call.now) or one.at <= call.now:
            continue
        stored = call.statements.customer(one.number)
        if not stored.record.deleted:
            _TELL[Kind(one.kind)](call, stored, one)


def _trial(call: Call, stored: StoredCustomer, one: StoredNotice) -> None:
    trial = stored.record.trial
    if trial is not None and (trial.plan, trial.until_ms) == (one.subject, one.at):
        data: dict[str, Value] = {"plan": trial.plan, "version": trial.version, "ends_at": trial.until_ms}
        call.statements.tell(Kind.TRIAL_ENDING, call.now, one.number, stored.record.id, data)


def _override(call: Call, stored: StoredCustomer, one: StoredNotice) -> None:
    if any((feature, ends_at) == (one.subject, one.at) for feature, _, _, ends_at in stored.record.overrides):
        data: dict[str, Value] = {"feature": one.subject, "expires_at": one.at}
        call.statements.tell(Kind.OVERRIDE_ENDING, call.now, one.number, stored.record.id, data)


def _grant(call: Call, stored: StoredCustomer, one: StoredNotice) -> None:
    pool = call.product.pools.get(one.pool)
    if pool is None:
        return
    _, account = call.accounts().current(stored, pool)
    for held in account.holdings:
        if held.id == one.subject and held.grant.over_at() == one.at and held.remaining:
            data: dict[str, Value] = {
                "pool": pool.name, "grant": held.id, "remaining": credits(held.remaining, pool.scale),
                "expires_at": one.at,
            }  # fmt: skip
            call.statements.tell(
                Kind.GRANT_EXPIRING, call.now, one.number, stored.record.id, data, held.remaining
            )


_TELL = {Kind.TRIAL_ENDING: _trial, Kind.OVERRIDE_ENDING: _override, Kind.GRANT_EXPIRING: _grant}
