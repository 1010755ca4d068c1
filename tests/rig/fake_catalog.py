"""A catalog in plain Python with the interface of the native one, for tests of the hub without it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fastcheck.wire.record import CustomerRecord, unpack_record

DOCUMENT: dict[str, Any] = {
    "pools": {
        "ai_credits": {"scale": 6, "policy": "hard", "overdraft": None, "private": False,
                       "order": ["priority", "expiry", "kind", "oldest"]},
        "soft_credits": {"scale": 0, "policy": "soft", "overdraft": 100, "private": False, "order": None},
        "api_calls": {"scale": 0, "policy": "hard", "overdraft": None, "private": True, "order": None},
    },
    "features": {
        "export": {"kind": "switch", "default": False},
        "seats": {"kind": "limit", "default": 1},
        "retention_days": {"kind": "value", "default": 7},
        "api_calls": {"kind": "meter", "pool": "api_calls",
                      "period": {"every": [1, "month"], "anchor": "calendar"},
                      "default": 0},
        "gpt-4o": {"kind": "credit", "pool": "ai_credits", "default": False},
    },
    "plans": {
        "free": {"1": {"features": {"api_calls": 1_000}, "grants": []}},
        "pro": {
            "1": {
                "features": {"export": True, "seats": 25, "retention_days": 30, "api_calls": 100_000,
                             "gpt-4o": True},
                "grants": [{"pool": "ai_credits", "amount": 1_000_000_000, "every": [1, "month"],
                            "anchor": "calendar", "kind": "plan", "priority": 0}],
            },
        },
    },
    "addons": {
        "seats_pack": {"plans": ["pro"], "max_quantity": 10, "features": {"seats": 5, "api_calls": 10},
                       "grants": []},
    },
}  # fmt: skip


class FakeCatalog:
    """Resolves like the native catalog, for the features the tests use: override, trial, add-ons, plan,
    default."""

    def __init__(self, document: dict[str, Any] = DOCUMENT) -> None:
        self._document: dict[str, Any] = document

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self._document, sort_keys=True).encode()).hexdigest()

    def source(self) -> bytes:
        return json.dumps(self._document).encode()

    def document(self) -> dict[str, Any]:
        return self._document

    def resolve(self, record: bytes, at_ms: int) -> dict[str, tuple[bool | int | str | None, str]]:
        customer = unpack_record(record)
        return {name: self._one(customer, name, at_ms) for name in self._document["features"]}

    def _one(self, customer: CustomerRecord, name: str, at: int) -> tuple[bool | int | str | None, str]:
        for feature, setting, starts, expires in reversed(customer.overrides):  # The last is the strongest.
            if feature == name and (starts or 0) <= at and (expires is None or at < expires):
                return {0: False, 1: True, 2: None}.get(setting[0], setting[-1]), "override"
        plans = self._document["plans"]
        trial = customer.trial
        if trial is not None and at < trial.until_ms:
            features = plans[trial.plan][str(trial.version)]["features"]
            if name in features:
                return features[name], "trial"
        value: Any = self._document["features"][name]["default"]
        source = "default"
        if customer.plan is not None:
            features = plans[customer.plan][str(customer.version)]["features"]
            if name in features:
                value, source = features[name], "plan"
        for addon, quantity, until in customer.addons:
            more = self._document["addons"][addon]["features"].get(name)
            if more is not None and (until is None or at < until):
                value, source = value + more * quantity, "addon"
        return value, source

    def boundaries(self, record: bytes) -> list[int]:
        customer = unpack_record(record)
        found = {at for _, _, starts, expires in customer.overrides for at in (starts, expires)}
        found |= {until for _, _, until in customer.addons}
        found |= {customer.trial.until_ms} if customer.trial else set()
        return sorted(at for at in found if at is not None)

    def explain(self, record: bytes, feature: str, at_ms: int) -> list[dict[str, Any]]:
        value, source = self.resolve(record, at_ms)[feature]
        return [
            {
                "source": source,
                "name": "",
                "setting": value,
                "active": True,
                "won": True,
                "why": "the only one",
            }
        ]

    def customer_error(self, record: bytes) -> str | None:
        customer = unpack_record(record)
        unknown = [one for one, *_ in customer.overrides if one not in self._document["features"]]
        return f"unknown feature {unknown[0]}" if unknown else None


def parse(source: bytes, filename: str) -> FakeCatalog:
    """Reads what `FakeCatalog.source` wrote."""
    return FakeCatalog(json.loads(source))
