"""Overrides: exceptions for one customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..answers import Override
from ..wire import setting_value
from .accounts import Accounts, Totals
from .call import Call
from .customers import Changed, rewrite
from .requests import PutOverride
from .settings import feature_of, shown, taken
from .store.books import StoredCustomer, StoredOverride


def put(call: Call, request: PutOverride, finals: Sequence[Totals]) -> Changed:
    """Makes an exception. Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`, `RecordError`."""
    stored, feature = call.held(request.customer, finals), feature_of(call.product, request.feature)
    accounts = call.accounts()
    accounts.settle(finals)
    one = StoredOverride(
        request.feature, taken(call.product, request.value, feature), request.starts_at, request.expires_at,
        request.reason, call.by.author, accounts.now,
    )  # fmt: skip
    before = _known(call, stored, request.feature)
    call.books.put_override(stored.record.number, one)
    was = None if before is None else _summary(before)
    call.note("put_override", stored.record.id, was, _summary(one), reason=request.reason)
    return _rewrite(call, accounts, stored)


def remove(call: Call, key: str, feature: str, finals: Sequence[Totals]) -> Changed | None:
    """Ends an exception; None if there is none."""
    stored = call.held(key, finals)
    before = _known(call, stored, feature)
    accounts = call.accounts()
    accounts.settle(finals)
    if before is None:
        return None
    call.books.remove_override(stored.record.number, feature)
    call.note("remove_override", stored.record.id, _summary(before), None)
    return _rewrite(call, accounts, stored)


def of(call: Call, key: str) -> list[Override]:
    """A customer's exceptions, ended ones included."""
    record = call.customer(key).record
    return [
        Override(
            record.id, one.feature, shown(call.product, setting_value(one.setting), one.feature),
            one.starts_at, one.expires_at, one.reason, one.author, one.created_at,
        )
        for one in call.books.overrides(record.number)
    ]  # fmt: skip


def _known(call: Call, stored: StoredCustomer, feature: str) -> StoredOverride | None:
    found = (one for one in call.books.overrides(stored.record.number) if one.feature == feature)
    return next(found, None)


def _rewrite(call: Call, accounts: Accounts, stored: StoredCustomer) -> Changed:
    """Brings a customer's record up to their overrides."""
    overrides = tuple(
        (one.feature, one.setting, one.starts_at, one.expires_at)
        for one in call.books.overrides(stored.record.number)
    )
    return rewrite(call, accounts, stored, replace(stored.record, overrides=overrides), stored.since)


def _summary(one: StoredOverride) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "setting": one.setting,
        "starts_at": one.starts_at,
        "expires_at": one.expires_at,
        "reason": one.reason,
    }
