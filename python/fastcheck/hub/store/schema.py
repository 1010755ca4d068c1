"""The tables of `ledger.db`. Amounts are integer pool units; instants are ms since 1970; pools and features
are kept by name, so that a catalog may be reordered."""

from __future__ import annotations

VERSION = 1

STATEMENTS = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,            -- version, seq
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE catalog (               -- the newest row is in force
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    filename TEXT NOT NULL,
    source BLOB NOT NULL,            -- as it was given
    digest TEXT NOT NULL,
    document BLOB NOT NULL           -- msgpack of the canonical content
);

CREATE TABLE customers (
    number INTEGER PRIMARY KEY,      -- never given to another customer
    id TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,            -- of the last change
    deleted INTEGER NOT NULL,
    plan TEXT,
    version INTEGER,
    record BLOB NOT NULL,            -- what the native module reads
    since BLOB                       -- msgpack [trial since, {addon: since}]
);
CREATE INDEX customers_seq ON customers (seq);

CREATE TABLE aliases (
    key TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX aliases_number ON aliases (number);

CREATE TABLE addons (                -- who has which, to answer what a catalog change would hit
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (name, number)
) WITHOUT ROWID;
CREATE INDEX addons_number ON addons (number);

CREATE TABLE trials (
    plan TEXT NOT NULL,
    version INTEGER NOT NULL,
    number INTEGER PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE overrides (
    number INTEGER NOT NULL,
    feature TEXT NOT NULL,
    setting BLOB NOT NULL,           -- msgpack, as in a customer record
    starts_at INTEGER,
    expires_at INTEGER,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (number, feature)
) WITHOUT ROWID;
CREATE INDEX overrides_feature ON overrides (feature);

CREATE TABLE accounts (
    number INTEGER NOT NULL,
    pool TEXT NOT NULL,
    overage INTEGER NOT NULL,
    written_off INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    PRIMARY KEY (number, pool)
) WITHOUT ROWID;
CREATE INDEX accounts_pool ON accounts (pool);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    pool TEXT NOT NULL,
    amount INTEGER NOT NULL,
    remaining INTEGER NOT NULL CHECK (remaining >= 0),
    priority INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    expires_at INTEGER,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    source TEXT,
    terms BLOB,                      -- msgpack: recurrence, rollover, how long a refill lasts
    refilled_at INTEGER NOT NULL,
    granted INTEGER NOT NULL,
    burned INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    parked INTEGER,
    voided_at INTEGER,
    CHECK (granted = remaining + burned + expired + voided)
) WITHOUT ROWID;
CREATE INDEX grants_account ON grants (number, pool);

CREATE TABLE leases (
    number INTEGER NOT NULL,
    pool TEXT NOT NULL,
    lease INTEGER NOT NULL,          -- counts up per account, from 1
    open INTEGER NOT NULL,           -- 1 = OPEN, 0 = FINAL
    lent INTEGER NOT NULL,           -- absolute, since the lease was opened
    spent INTEGER NOT NULL,          -- totals settled so far
    returned INTEGER NOT NULL,
    folded INTEGER NOT NULL,         -- the net use that the grants already show
    valid_until INTEGER,
    whole INTEGER NOT NULL,          -- 1 = all there is was lent
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (number, pool, lease)
) WITHOUT ROWID;
CREATE UNIQUE INDEX leases_open ON leases (number, pool) WHERE open = 1;

CREATE TABLE late_returns (          -- what holds gave back after their lease was closed
    key TEXT PRIMARY KEY,            -- the hold's own, so that each is booked once
    number INTEGER NOT NULL,
    pool TEXT NOT NULL,
    lease INTEGER NOT NULL,
    units INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE usage_records (
    number INTEGER PRIMARY KEY,
    position TEXT NOT NULL UNIQUE, -- where in which journal it was written
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    customer TEXT NOT NULL,
    feature TEXT NOT NULL,
    units INTEGER NOT NULL,
    quantities BLOB NOT NULL
);

CREATE TABLE answers (               -- what was answered to calls with an idempotency key
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    digest BLOB NOT NULL,            -- of the request
    answer BLOB NOT NULL             -- msgpack
) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    before BLOB,
    after BLOB
);
"""
