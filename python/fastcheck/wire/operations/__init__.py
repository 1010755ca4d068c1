"""The operations, a subject a module: requests, and a row for each.

May import: base, ledger, the rest of wire.
Boundaries: a module says what may be asked; what is done for it is `hub/use_cases` of the same name, and how
people ask is `admin` of the same name."""

from __future__ import annotations

from fastcheck.wire.operation import Operations
from fastcheck.wire.operations import (
    audit,
    balances,
    caps,
    catalog,
    clock,
    customers,
    deletions,
    epochs,
    events,
    features,
    finance,
    grants,
    merging,
    overrides,
    plan_changes,
    purchases,
    refunds,
    reservations,
    segments,
    tokens,
    top_ups,
    usage,
    usage_records,
    webhooks,
)

SUBJECTS = (
    customers, deletions, merging, overrides, plan_changes, segments, grants, purchases, balances, top_ups,
    features, caps, refunds, reservations, catalog, usage, usage_records, events, webhooks, audit, finance,
    epochs, clock, tokens,
)  # fmt: skip
"""In the order of the API's description."""
OPERATIONS = Operations(row for subject in SUBJECTS for row in subject.OPERATIONS)
"""Every row. What is irregular by nature stays by hand: how HTTP carries the text of a catalog
(`hub/http/catalog`, `hub_client/routes`), `/v1/snapshot`, `/v1/openapi.json`, health, metrics (`hub/http`),
the stream, and on the owner's socket `touch`, `hello`, `changes`, `notes` and `prewarm`."""
