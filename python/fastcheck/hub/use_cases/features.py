"""What a customer has of a feature, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.balances import balance_of
from fastcheck.hub.use_cases.claims import claims
from fastcheck.hub.use_cases.settings import feature_of, shown
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase, customer
from fastcheck.ledger.lend import spendable
from fastcheck.ledger.model import Account
from fastcheck.wire.answers import Consideration, Explanation
from fastcheck.wire.kinds import kind_of
from fastcheck.wire.operations.features import CheckFeature, Explain
from fastcheck.wire.shapes import FeatureCheck


def explain(call: Call, request: Explain) -> Explanation:
    """Every source of a feature at the call's instant, which one won, and what a check answers then: for the
    past from what was stored then, for the future from what is known now. Raises `UnknownFeature`,
    `UnknownCustomer`."""
    name = request.feature
    feature = feature_of(call.product, name)
    accounts = call.accounts()
    known = call.customer(request.customer)
    stored = accounts.seen(known)
    value, source = accounts.catalog.resolve(stored.packed, call.now)[name]
    considered = tuple(_considered(one) for one in accounts.catalog.explain(stored.packed, name, call.now))
    pool = None if feature.pool is None else call.product.pools.get(feature.pool)
    reason, balance = "allowed", None
    if value is False or (value == 0 and kind_of(feature.kind).bounded):
        reason = "not_entitled"
    if pool is not None:
        account = accounts.current(known, pool)[1]
        balance = balance_of(accounts, stored, pool, account)
        affords = _affords(accounts, stored, pool, account, feature.cost, unlimited=value is None)
        reason = "exhausted" if reason == "allowed" and not affords else reason
    return Explanation(
        stored.record.id,
        name,
        feature.kind,
        call.now,
        shown(call.product, value, name),
        source,
        considered,
        balance,
        reason == "allowed",
        reason,
    )


def check(call: Call, request: CheckFeature) -> FeatureCheck:
    """What a check of one use answers now. Raises `UnknownFeature`, `UnknownCustomer`."""
    found = explain(call, Explain(request.customer, request.feature))
    return FeatureCheck(
        found.customer,
        found.feature,
        found.kind,
        found.at,
        found.value,
        found.source,
        found.allowed,
        found.reason,
    )


def _affords(
    accounts: Accounts, stored: StoredCustomer, pool: Pool, account: Account, units: int, *, unlimited: bool
) -> bool:
    number = stored.record.number
    claimed = claims(accounts.statements, number, pool.name, account.as_of)
    # What is lent is the customer's to spend; only what was used of it counts towards a cap.
    room = replace(claimed, lent=accounts.statements.unfolded(number, pool.name)).room().units
    left = None if unlimited else spendable(account, pool.rules)
    held = sum(one.units for one in claimed.held)
    return (left is None or left - held >= units) and (room is None or room >= units)


def _considered(found: dict[str, Any]) -> Consideration:
    return Consideration(
        str(found["source"]),
        str(found.get("name") or ""),
        str(found.get("setting")),
        bool(found.get("active")),
        found.get("starts_at_ms"),
        found.get("ends_at_ms"),
        bool(found.get("won")),
        str(found.get("why") or ""),
    )


USE_CASES = (UseCase(Explain, explain, customer), UseCase(CheckFeature, check, customer))
