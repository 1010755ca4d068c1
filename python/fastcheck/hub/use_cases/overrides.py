"""Overrides: exceptions for one customer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastcheck.hub.store.statements import StoredCustomer, StoredOverride
from fastcheck.hub.use_cases.rewriting import rewrite
from fastcheck.hub.use_cases.settings import feature_of, shown, taken
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase, pool_of_feature
from fastcheck.wire.answers import Override, Page
from fastcheck.wire.operations.overrides import ListOverrides, OverrideTerms, PutOverride, RemoveOverride
from fastcheck.wire.record import setting_value
from fastcheck.wire.shapes import Removed


def put(call: Call, request: PutOverride) -> None:
    """Makes an exception. Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`, `RecordError`."""
    stored, one = call.held(request.customer), made(call, request.feature, request)
    call.accounts().settle(call.totals)
    before = _known(call, stored, request.feature)
    call.statements.put_override(stored.record.number, one)
    was = None if before is None else summary(before)
    call.note("put_override", stored.record.id, was, summary(one), reason=request.reason)
    _rewrite(call, stored)


def remove(call: Call, request: RemoveOverride) -> Removed:
    """Ends an exception. Raises `UnknownCustomer`."""
    stored = call.held(request.customer)
    before = _known(call, stored, request.feature)
    call.accounts().settle(call.totals)
    if before is None:
        return Removed(False)
    call.statements.remove_override(stored.record.number, request.feature)
    call.note("remove_override", stored.record.id, summary(before), None)
    _rewrite(call, stored)
    return Removed(True)


def of(call: Call, request: ListOverrides) -> Page[Override]:
    """A customer's exceptions, ended ones included, then those of their segments."""
    record = call.customer(request.customer).record
    own = [seen(call, one, record.id) for one in call.statements.overrides(record.number)]
    shared = call.statements.overrides_of_segments(record.number)
    return Page((*own, *(seen(call, one, record.id, segment) for segment, one in shared)), None)


def made(call: Call, feature: str, terms: OverrideTerms) -> StoredOverride:
    """An exception as it is stored. Raises `UnknownFeature`, `WrongType`, `RecordError`, `AmountError`."""
    return StoredOverride(
        feature,
        taken(call.product, terms.value, feature_of(call.product, feature)),
        terms.starts_at,
        terms.expires_at,
        terms.reason,
        call.by.author,
        call.now,
    )


def seen(call: Call, one: StoredOverride, customer: str, segment: str | None = None) -> Override:
    """An exception as callers see it."""
    value = shown(call.product, setting_value(one.setting), one.feature)
    return Override(
        customer,
        one.feature,
        value,
        one.starts_at,
        one.expires_at,
        one.reason,
        one.author,
        one.created_at,
        segment,
    )


def merged(call: Call, number: int) -> tuple[tuple[str, tuple[Any, ...], int | None, int | None], ...]:
    """What a customer's record says of exceptions, weakest first: of those that hold at an instant, the last
    one counts. A customer's own are stronger than their segments'; of these, the newest is. What can never
    count is left out."""
    own = call.statements.overrides(number)
    shared = [one for _, one in call.statements.overrides_of_segments(number)]
    lasting = [one for one in shared if one.expires_at is None or one.expires_at > call.now]
    always: set[str] = set()
    found = []
    for one in reversed([*lasting, *own]):
        if one.feature not in always:
            found.append((one.feature, one.setting, one.starts_at, one.expires_at))
        if one.starts_at is None and one.expires_at is None:
            always.add(one.feature)
    return tuple(reversed(found))


def _known(call: Call, stored: StoredCustomer, feature: str) -> StoredOverride | None:
    found = (one for one in call.statements.overrides(stored.record.number) if one.feature == feature)
    return next(found, None)


def _rewrite(call: Call, stored: StoredCustomer) -> None:
    """Brings a customer's record up to their overrides."""
    record = replace(stored.record, overrides=merged(call, stored.record.number))
    rewrite(call, stored, record, stored.since)


def summary(one: StoredOverride) -> dict[str, Any]:
    """An exception as the audit log keeps it."""
    return {
        "feature": one.feature,
        "setting": one.setting,
        "starts_at": one.starts_at,
        "expires_at": one.expires_at,
        "reason": one.reason,
    }


USE_CASES = (
    UseCase(PutOverride, put, pool_of_feature),
    UseCase(RemoveOverride, remove, pool_of_feature),
    UseCase(ListOverrides, of),
)
