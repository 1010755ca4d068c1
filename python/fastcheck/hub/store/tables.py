"""The ledger's tables, one definition for SQLite and PostgreSQL.

Amounts are integer pool units; instants are ms since 1970; pools and features are kept by name, so that a
catalog may be reordered. Text is compared by code point on both, so that pages have one order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

LEDGER = MetaData()

_INT = BigInteger()
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
_BYTES = LargeBinary()
_BOOL = Boolean(create_constraint=False)
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Of a row that SQLite itself numbers: only INTEGER can be its row id."""


def _table(name: str, *parts: Any) -> Table:
    """A table that is kept in the order of its key. The key's columns come first: where they do not, SQLite
    3.40 takes sound rows for damage when it checks them."""
    return Table(name, LEDGER, *parts, sqlite_with_rowid=False)


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _one(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _maybe(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=True)


meta = _table("meta", _key("key", _TEXT), _one("value", _INT))
"""seq, the number of the last change; numbers, the last given to a customer; catalog, the number of the one
in force; events, the place of the last event; epoch, which life of the ledger this is. Of the change log:
digest, the sum of record hashes after change digest_seq (64 bits, stored as a signed number); changes_from,
the first change from which on the log is complete; changes_bytes, bytes of all that were ever logged. Of
accounts that were brought back by a repair of the clock: repaired/NUMBER/POOL, the place of the last posting
that it settled."""

catalogs = Table(
    "catalog",
    LEDGER,
    Column("number", _NUMBER, primary_key=True),
    _one("at", _INT),
    _one("filename", _TEXT),
    _one("source", _BYTES),  # As it was given.
    _one("digest", _TEXT),
    _one("document", _BYTES),  # msgpack of the canonical content.
    _maybe("lines", _BYTES),  # msgpack: the identities of its grant lines, see `hub.catalog.lines`.
)
"""The newest row is in force."""

customers = Table(
    "customers",
    LEDGER,
    _key("number", _NUMBER),  # Never given to another customer.
    _one("id", _TEXT),
    _one("seq", _INT),  # Of the last change.
    _one("deleted", _BOOL),
    _maybe("plan", _TEXT),
    _maybe("version", _INT),
    _one("record", _BYTES),  # What the native module reads.
    _maybe("since", _BYTES),  # msgpack [trial since, {addon: since}].
    _one("changed_at", _INT),
    Index("customers_id", "id", unique=True),
    Index("customers_seq", "seq"),
)

customers_past = _table(
    "customers_past",
    _key("number", _INT),
    _key("until_at", _INT),  # Exclusive: the instant of the change that ended it.
    _one("from_at", _INT),
    _one("record", _BYTES),
    _maybe("since", _BYTES),
)
"""What customers were before their last change."""

unbooked = _table("unbooked", _key("number", _INT))
"""Customers with lines whose accounts were never written, or are behind the catalog; see decision 0012."""

deletions = _table(
    "deletions",
    _key("number", _INT),
    _one("at", _INT),
    _one("record", _BYTES),  # As it was.
    _maybe("since", _BYTES),
    _one("parts", _BYTES),  # msgpack: what was removed with it.
)
"""Deleted customers, as `restore` brings them back."""

aliases = _table("aliases", _key("key", _TEXT), _one("number", _INT), Index("aliases_number", "number"))

addons = _table("addons", _key("name", _TEXT), _key("number", _INT), Index("addons_number", "number"))
"""Who has which, to answer what a catalog change would hit."""

trials = _table("trials", _key("number", _INT), _one("plan", _TEXT), _one("version", _INT))

overrides = _table(
    "overrides",
    _key("number", _INT),
    _key("feature", _TEXT),
    _one("setting", _BYTES),  # msgpack, as in a customer record.
    _maybe("starts_at", _INT),
    _maybe("expires_at", _INT),
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
    Index("overrides_feature", "feature"),
)

accounts = _table(
    "accounts",
    _key("number", _INT),
    _key("pool", _TEXT),
    _one("overage", _INT),
    _one("written_off", _INT),
    _one("as_of", _INT),
    _one("changed_at", _INT),
    _maybe("next_change_at", _INT),  # When time alone changes it; not kept of private pools.
    Index("accounts_pool", "pool"),
    Index("accounts_next_change", "next_change_at"),
)

accounts_past = _table(
    "accounts_past",
    _key("number", _INT),
    _key("pool", _TEXT),
    _key("until_at", _INT),  # Exclusive: the instant of the change that ended it.
    _one("from_at", _INT),
    _one("overage", _INT),
    _one("written_off", _INT),
    _one("as_of", _INT),
)
"""What accounts were before they were written again."""

grants = _table(
    "grants",
    _key("id", _TEXT),
    _one("number", _INT),
    _one("pool", _TEXT),
    _one("amount", _INT),
    _one("remaining", _INT),
    _one("priority", _INT),
    _one("effective_at", _INT),
    _maybe("expires_at", _INT),
    _one("kind", _TEXT),
    _one("created_at", _INT),
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _maybe("source", _TEXT),
    _maybe("cost", _INT),  # What was paid for `amount`, in minor units of the currency.
    _maybe("currency", _TEXT),
    _maybe("terms", _BYTES),  # msgpack: recurrence, rollover, how long a refill lasts.
    _one("refilled_at", _INT),
    _one("granted", _INT),
    _one("burned", _INT),
    _one("expired", _INT),
    _one("voided", _INT),
    _maybe("parked", _INT),
    _one("rolled", _INT),
    Column("allowed", _INT, nullable=False, server_default=text("0")),  # Of its amount, in this period.
    Column("used", _INT, nullable=False, server_default=text("0")),  # Of that, by itself or carried to it.
    _maybe("voided_at", _INT),
    _one("changed_at", _INT),
    CheckConstraint("remaining >= 0", name="grants_remaining"),
    CheckConstraint("granted = remaining + burned + expired + voided", name="grants_balanced"),
    Index("grants_account", "number", "pool"),
)

grants_past = _table(
    "grants_past",
    _key("number", _INT),
    _key("pool", _TEXT),
    _key("until_at", _INT),
    _key("id", _TEXT),
    _one("from_at", _INT),
    *(
        Column(one.name, one.type, nullable=one.nullable, server_default=one.server_default and text("0"))
        for one in grants.columns
        if one.name not in ("number", "pool", "id", "author", "changed_at")
    ),
)
"""What grants were before they were written again."""

postings = Table(
    "postings",
    LEDGER,
    Column("place", _NUMBER, primary_key=True),
    _one("number", _INT),
    _one("pool", _TEXT),
    _one("at", _INT),  # When the units moved.
    _one("booked_at", _INT),  # When it was written down.
    _maybe("grant", _TEXT),
    _one("source", _TEXT),
    _one("target", _TEXT),
    _one("units", _INT),
    CheckConstraint("units > 0", name="postings_units"),
    Index("postings_account", "number", "pool", "place"),
    Index("postings_at", "at"),
)
"""Every movement of units, from one account of the books to another. Never changed, never removed."""

purchases = _table(
    "purchases",
    _key("id", _TEXT),
    _one("number", _INT),
    _one("addon", _TEXT),
    _one("quantity", _INT),
    _one("state", _TEXT),  # pending, paid, refunded, charged_back.
    _maybe("cost", _INT),  # What is paid for all of it, in minor units of the currency.
    _maybe("currency", _TEXT),
    _one("refunded", _INT),  # Of `cost`, so far.
    _one("created_at", _INT),
    _maybe("paid_at", _INT),
    _maybe("ended_at", _INT),  # When it was charged back.
    _one("reason", _TEXT),
    _one("author", _TEXT),
    Index("purchases_customer", "number", "created_at"),
)
"""What was bought of add-ons with `sold: once`; its grants have the source "purchase:ID"."""

leases = _table(
    "leases",
    _key("number", _INT),
    _key("pool", _TEXT),
    _key("host", _TEXT),  # Who it was lent to; '' = the embedded host.
    _key("lease", _INT),  # Counts up per account and host, from 1.
    _one("open", _BOOL),
    _one("lent", _INT),  # Absolute, since the lease was opened.
    _one("spent", _INT),  # Totals settled so far.
    _one("returned", _INT),
    _one("folded", _INT),  # The net use that the grants already show.
    _maybe("valid_until", _INT),
    _one("whole", _BOOL),  # All there is was lent.
    _one("opened_at", _INT),
    _one("settled_at", _INT),
    _one("recorded_at", _INT),  # Of the last row of `settlements`.
    _maybe("marks", _BYTES),  # msgpack: thresholds ahead of its net use, see `ledger.marks`.
)
Index(
    "leases_open",
    leases.c.number,
    leases.c.pool,
    leases.c.host,
    unique=True,
    sqlite_where=text("open = 1"),
    postgresql_where=text("open"),
)

settlements = _table(
    "settlements",
    _key("number", _INT),
    _key("pool", _TEXT),
    _key("host", _TEXT),
    _key("at", _INT),
    _key("lease", _INT),
    _one("net", _INT),  # Used for good, since the lease was opened.
    _one("folded", _INT),
)
"""A lease's totals as they were settled: once a minute, near zero each time, and whenever they are folded."""

late_returns = _table(
    "late_returns",
    _key("key", _TEXT),  # The hold's own, so that each is booked once.
    _one("number", _INT),
    _one("pool", _TEXT),
    _one("lease", _INT),
    _one("units", _INT),
    _one("at", _INT),
)
"""What holds gave back after their lease was closed."""

caps = _table(
    "caps",
    _key("number", _INT),
    _key("pool", _TEXT),
    _key("key", _TEXT),  # Of the customer, whose spending counts; '' = all of it.
    _key("unit", _TEXT),  # Of the calendar window in UTC: hour, day, month.
    _key("count", _INT),
    _one("units", _INT),  # At most, in each window.
    _one("window_at", _INT),  # Start of the newest window in which something was counted.
    _one("spent", _INT),  # In that window, open leases and open reservations aside.
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
)

reservations = _table(
    "reservations",
    _key("id", _TEXT),
    _one("number", _INT),
    _one("pool", _TEXT),
    _one("units", _INT),  # Held; of a debit, what was asked for.
    _one("state", _TEXT),  # open, committed, released, expired.
    _one("spent", _INT),
    _maybe("sub_key", _TEXT),
    _maybe("event", _TEXT),
    _one("expires_at", _INT),  # Holds nothing from here on, whatever `state` says.
    _one("created_at", _INT),
    _one("author", _TEXT),
    Index("reservations_event", "event"),
)
"""Units held at the hub itself, and debits made there."""
Index(
    "reservations_open",
    reservations.c.number,
    reservations.c.pool,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)
Index(
    "reservations_end",
    reservations.c.expires_at,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)

usage_records = Table(
    "usage_records",
    LEDGER,
    Column("number", _NUMBER, primary_key=True),
    _one("position", _TEXT),  # Where in which journal it was written.
    _one("at", _INT),
    _one("event", _TEXT),
    _one("customer", _TEXT),
    _one("feature", _TEXT),
    _one("units", _INT),
    _one("quantities", _BYTES),
    Index("usage_records_position", "position", unique=True),
    Index("usage_records_customer", "customer", "number"),
    Index("usage_records_feature", "feature", "number"),
    Index("usage_records_event", "event"),
)

usage_events = _table(
    "usage_events",
    _key("id", _TEXT),  # The sender's own.
    _one("number", _INT),
    _one("feature", _TEXT),
    _one("at", _INT),
    _one("received_at", _INT),
    _one("units", _INT),
    _maybe("subject", _TEXT),
    _one("touched_at", _INT),  # When the last was heard of it: itself, or a correction.
    Index("usage_events_at", "number", "feature", "at"),
    Index("usage_events_touched", "number", "feature", "touched_at"),
)
"""Use that was metered elsewhere; nothing was burned for it here."""

usage_corrections = _table(
    "usage_corrections",
    _key("event", _TEXT),
    _key("place", _INT),  # Counts up from 1.
    _one("at", _INT),
    _maybe("units", _INT),  # Instead of those before; None: it never was.
    _one("reason", _TEXT),
    _one("author", _TEXT),
)

changes = Table(
    "changes",
    LEDGER,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),  # Taken by the transaction of the change.
    _one("at", _INT),  # When it was stored.
    _one("kind", _TEXT),  # records or catalog.
    _one("body", _BYTES),  # Customer records, or msgpack [filename, source].
    _one("count", _INT),  # Of the records.
    _one("digest", _INT),  # After it; as in `meta`.
    _one("bytes_through", _INT),  # As `changes_bytes` was after it: sizes without a look at the bodies.
)
"""What hosts are sent, in order and without a gap. Old ones are dropped."""

tokens = _table(
    "tokens",
    _key("id", _TEXT),
    _one("environment", _TEXT),
    _one("name", _TEXT),
    _one("scopes", _TEXT),  # Names in their order, one space between.
    _one("secret_sha256", _BYTES),
    _one("author", _TEXT),
    _one("created_at", _INT),
    _maybe("expires_at", _INT),  # Not in force from here on.
    _maybe("revoked_at", _INT),
    _maybe("last_used_at", _INT),  # Coarse: not written at every use.
    _maybe("rate_per_s", _INT),  # Requests; NULL = the hub's default.
)
"""Who may speak to a hub. A secret itself is nowhere."""

answers = _table(
    "answers",
    _key("key", _TEXT),
    _one("at", _INT),
    _one("digest", _BYTES),  # Of the request.
    _one("answer", _BYTES),  # msgpack.
    Index("answers_at", "at"),
)
"""What was answered to calls with an idempotency key."""

moves = _table(
    "moves",
    _key("id", _TEXT),
    _one("number", _INT),
    _one("at", _INT),  # Effective from here on, whenever it is done.
    _maybe("plan", _TEXT),
    _maybe("version", _INT),
    _one("keep_since", _BOOL),
    _maybe("from_plan", _TEXT),  # Of a migration: only where the customer still has this.
    _maybe("from_version", _INT),
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
    _maybe("done_at", _INT),
    _maybe("cancelled_at", _INT),
    _one("cancelled_why", _TEXT),
    Index("moves_customer", "number", "at"),
)
"""Changes of plans, done, ahead or cancelled."""
Index(
    "moves_ahead",
    moves.c.at,
    sqlite_where=text("done_at IS NULL AND cancelled_at IS NULL"),
    postgresql_where=text("done_at IS NULL AND cancelled_at IS NULL"),
)

segments = _table(
    "segments",
    _key("name", _TEXT),
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
    _maybe("behind", _INT),  # Members with a greater number are still to get what changed.
    _one("ending", _BOOL),  # Goes once nobody is behind.
)

segment_members = _table(
    "segment_members", _key("name", _TEXT), _key("number", _INT), Index("segment_members_number", "number")
)

segment_overrides = _table(
    "segment_overrides",
    _key("name", _TEXT),
    _key("feature", _TEXT),
    _one("setting", _BYTES),  # As in `overrides`, and so the rest.
    _maybe("starts_at", _INT),
    _maybe("expires_at", _INT),
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
)

audit = Table(
    "audit",
    LEDGER,
    Column("number", _NUMBER, primary_key=True),
    _one("at", _INT),
    _one("author", _TEXT),
    _one("action", _TEXT),
    _one("subject", _TEXT),
    _one("reason", _TEXT),
    _maybe("before", _BYTES),
    _maybe("after", _BYTES),
)

events = _table(
    "events",
    _key("place", _INT),  # In the order of the commits, from 1, without a gap.
    _one("id", _TEXT),
    _one("kind", _TEXT),
    _one("at", _INT),
    _maybe("number", _INT),  # Of the customer; NULL for what concerns all.
    _maybe("customer", _TEXT),
    _one("data", _BYTES),  # msgpack; amounts are credits as text.
    Index("events_id", "id", unique=True),
    Index("events_customer", "number", "place"),
    Index("events_kind", "kind", "place"),
)
"""What happened, stored with the change that made it so. Never changed."""

notices = _table(
    "notices",
    _key("number", _INT),
    _key("pool", _TEXT),  # '' = of the customer's record.
    _key("kind", _TEXT),
    _key("subject", _TEXT),  # A plan, a feature, a grant's id.
    _one("at", _INT),  # When it ends.
    _one("due_at", _INT),  # When to tell.
    _maybe("told_at", _INT),
)
"""What will end, and is to be told before."""
Index(
    "notices_due",
    notices.c.due_at,
    sqlite_where=text("told_at IS NULL"),
    postgresql_where=text("told_at IS NULL"),
)

top_ups = _table(
    "top_ups",
    _key("number", _INT),
    _key("pool", _TEXT),
    _one("threshold", _INT),
    _one("target", _INT),
    _maybe("monthly_cap", _INT),
    _maybe("cost", _INT),  # Of a top-up of `target` units, in minor units of the currency.
    _maybe("currency", _TEXT),
    _one("month", _INT),  # The start of the month that the next two count.
    _one("units", _INT),
    _one("sequence", _INT),
    _maybe("due_at", _INT),  # When to look whether to top up; NULL until the threshold is crossed.
    _one("reason", _TEXT),
    _one("author", _TEXT),
    _one("created_at", _INT),
    _maybe("removed_at", _INT),  # Kept, so that a month's cap holds for a rule that comes back.
)
"""Who is topped up by itself."""
Index(
    "top_ups_due",
    top_ups.c.due_at,
    sqlite_where=text("due_at IS NOT NULL"),
    postgresql_where=text("due_at IS NOT NULL"),
)

webhooks = _table(
    "webhooks",
    _key("id", _TEXT),
    _one("url", _TEXT),
    _maybe("kinds", _BYTES),  # msgpack of names; NULL = all.
    _one("secrets", _BYTES),  # msgpack of (text, in force until). They sign what is sent.
    _one("enabled", _BOOL),
    _one("author", _TEXT),
    _one("created_at", _INT),
    Index("webhooks_url", "url", unique=True),
)
"""Where events are sent."""

deliveries = _table(
    "deliveries",
    _key("id", _TEXT),
    _one("webhook", _TEXT),
    _one("event", _INT),  # Its place.
    _one("attempts", _INT),  # That failed, since it was made or replayed.
    _one("next_at", _INT),
    _one("claimed_until", _INT),  # Exclusive; 0 = nobody has taken it.
    _one("state", _TEXT),  # waiting, delivered or dead.
    _one("why", _TEXT),  # What came of the last attempt.
    _one("changed_at", _INT),
    Index("deliveries_state", "state", "id"),
)
"""Events on their way to webhooks."""
for _name, _column, _where in (
    ("deliveries_waiting", "event", "state = 'waiting'"),
    ("deliveries_next", "next_at", "state = 'waiting'"),
    ("deliveries_claimed", "claimed_until", "state = 'waiting' AND claimed_until > 0"),
):
    Index(
        _name,
        deliveries.c.webhook,
        deliveries.c[_column],
        sqlite_where=text(_where),
        postgresql_where=text(_where),
    )
