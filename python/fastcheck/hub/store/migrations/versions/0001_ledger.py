"""The ledger's tables as they were first released. Never edited after that: a later change is a later
file."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    text,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT, BYTES, BOOL = BigInteger(), LargeBinary(), Boolean(create_constraint=False)
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes everything."""
    _catalog_and_customers()
    _accounts_and_leases()
    _caps_and_reservations()
    _records()
    _events()
    op.execute(
        "INSERT INTO meta (key, value) VALUES ('seq', 0), ('numbers', 0), ('catalog', 0), ('events', 0)"
    )


def _catalog_and_customers() -> None:
    _table("meta", ["key"], key=TEXT, value=INT)
    _numbered("catalog", at=INT, filename=TEXT, source=BYTES, digest=TEXT, document=BYTES)
    op.create_table(
        "customers",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        *_columns(
            {
                "id": TEXT,
                "seq": INT,
                "deleted": BOOL,
                "plan?": TEXT,
                "version?": INT,
                "record": BYTES,
                "since?": BYTES,
                "changed_at": INT,
            }
        ),
    )
    _table(
        "customers_past",
        ["number", "until_at"],
        **{"number": INT, "until_at": INT, "from_at": INT, "record": BYTES, "since?": BYTES},
    )
    op.create_index("customers_id", "customers", ["id"], unique=True)
    op.create_index("customers_seq", "customers", ["seq"])
    _table("aliases", ["key"], key=TEXT, number=INT)
    op.create_index("aliases_number", "aliases", ["number"])
    _table("addons", ["name", "number"], name=TEXT, number=INT)
    op.create_index("addons_number", "addons", ["number"])
    _table("trials", ["number"], number=INT, plan=TEXT, version=INT)
    _table(
        "overrides",
        ["number", "feature"],
        **{
            "number": INT,
            "feature": TEXT,
            "setting": BYTES,
            "starts_at?": INT,
            "expires_at?": INT,
            "reason": TEXT,
            "author": TEXT,
            "created_at": INT,
        },
    )
    op.create_index("overrides_feature", "overrides", ["feature"])


def _accounts_and_leases() -> None:
    _table(
        "accounts",
        ["number", "pool"],
        **{
            "number": INT,
            "pool": TEXT,
            "overage": INT,
            "written_off": INT,
            "as_of": INT,
            "changed_at": INT,
            "next_change_at?": INT,
        },
    )
    _table(
        "accounts_past",
        ["number", "pool", "until_at"],
        number=INT,
        pool=TEXT,
        until_at=INT,
        from_at=INT,
        overage=INT,
        written_off=INT,
        as_of=INT,
    )
    op.create_index("accounts_pool", "accounts", ["pool"])
    op.create_index("accounts_next_change", "accounts", ["next_change_at"])
    terms: dict[str, Any] = {
        "amount": INT, "remaining": INT, "priority": INT, "effective_at": INT, "expires_at?": INT,
        "kind": TEXT, "created_at": INT, "reason": TEXT, "source?": TEXT, "cost?": INT, "currency?": TEXT,
        "terms?": BYTES, "refilled_at": INT, "granted": INT, "burned": INT, "expired": INT, "voided": INT,
        "parked?": INT, "rolled": INT, "voided_at?": INT,
    }  # fmt: skip
    _table(
        "grants",
        ["id"],
        CheckConstraint("remaining >= 0", name="grants_remaining"),
        CheckConstraint("granted = remaining + burned + expired + voided", name="grants_balanced"),
        **{"id": TEXT, "number": INT, "pool": TEXT, "author": TEXT, **terms, "changed_at": INT},
    )
    op.create_index("grants_account", "grants", ["number", "pool"])
    _table(
        "grants_past",
        ["number", "pool", "until_at", "id"],
        **{"number": INT, "pool": TEXT, "until_at": INT, "id": TEXT, "from_at": INT, **terms},
    )
    op.create_table(
        "postings",
        Column("place", NUMBER, primary_key=True),
        *_columns(
            {
                "number": INT,
                "pool": TEXT,
                "at": INT,
                "booked_at": INT,
                "grant?": TEXT,
                "source": TEXT,
                "target": TEXT,
                "units": INT,
            }
        ),
        CheckConstraint("units > 0", name="postings_units"),
    )
    op.create_index("postings_account", "postings", ["number", "pool", "place"])
    op.create_index("postings_at", "postings", ["at"])
    _table(
        "leases",
        ["number", "pool", "host", "lease"],
        **{
            "number": INT,
            "pool": TEXT,
            "host": TEXT,
            "lease": INT,
            "open": BOOL,
            "lent": INT,
            "spent": INT,
            "returned": INT,
            "folded": INT,
            "valid_until?": INT,
            "whole": BOOL,
            "opened_at": INT,
            "settled_at": INT,
            "recorded_at": INT,
            "marks?": BYTES,
        },
    )
    op.create_index(
        "leases_open",
        "leases",
        ["number", "pool", "host"],
        unique=True,
        sqlite_where=text("open = 1"),
        postgresql_where=text("open"),
    )
    _table(
        "settlements",
        ["number", "pool", "host", "at", "lease"],
        number=INT,
        pool=TEXT,
        host=TEXT,
        at=INT,
        lease=INT,
        net=INT,
        folded=INT,
    )
    _table("late_returns", ["key"], key=TEXT, number=INT, pool=TEXT, lease=INT, units=INT, at=INT)


def _caps_and_reservations() -> None:
    _table(
        "caps",
        ["number", "pool", "key", "unit", "count"],
        number=INT,
        pool=TEXT,
        key=TEXT,
        unit=TEXT,
        count=INT,
        units=INT,
        window_at=INT,
        spent=INT,
        reason=TEXT,
        author=TEXT,
        created_at=INT,
    )
    _table(
        "reservations",
        ["id"],
        **{
            "id": TEXT,
            "number": INT,
            "pool": TEXT,
            "units": INT,
            "state": TEXT,
            "spent": INT,
            "sub_key?": TEXT,
            "event?": TEXT,
            "expires_at": INT,
            "created_at": INT,
            "author": TEXT,
        },
    )
    op.create_index("reservations_event", "reservations", ["event"])
    held = text("state = 'open'")
    for name, columns in (("reservations_open", ["number", "pool"]), ("reservations_end", ["expires_at"])):
        op.create_index(name, "reservations", columns, sqlite_where=held, postgresql_where=held)


def _records() -> None:
    _numbered(
        "usage_records",
        position=TEXT,
        at=INT,
        event=TEXT,
        customer=TEXT,
        feature=TEXT,
        units=INT,
        quantities=BYTES,
    )
    op.create_index("usage_records_position", "usage_records", ["position"], unique=True)
    op.create_index("usage_records_customer", "usage_records", ["customer", "number"])
    op.create_index("usage_records_feature", "usage_records", ["feature", "number"])
    op.create_index("usage_records_event", "usage_records", ["event"])
    _table(
        "usage_events",
        ["id"],
        **{
            "id": TEXT,
            "number": INT,
            "feature": TEXT,
            "at": INT,
            "received_at": INT,
            "units": INT,
            "subject?": TEXT,
            "touched_at": INT,
        },
    )
    op.create_index("usage_events_at", "usage_events", ["number", "feature", "at"])
    op.create_index("usage_events_touched", "usage_events", ["number", "feature", "touched_at"])
    _table(
        "usage_corrections",
        ["event", "place"],
        **{"event": TEXT, "place": INT, "at": INT, "units?": INT, "reason": TEXT, "author": TEXT},
    )
    _table(
        "moves",
        ["id"],
        **{
            "id": TEXT,
            "number": INT,
            "at": INT,
            "plan?": TEXT,
            "version?": INT,
            "keep_since": BOOL,
            "from_plan?": TEXT,
            "from_version?": INT,
            "reason": TEXT,
            "author": TEXT,
            "created_at": INT,
            "done_at?": INT,
            "cancelled_at?": INT,
            "cancelled_why": TEXT,
        },
    )
    op.create_index("moves_customer", "moves", ["number", "at"])
    ahead = text("done_at IS NULL AND cancelled_at IS NULL")
    op.create_index("moves_ahead", "moves", ["at"], sqlite_where=ahead, postgresql_where=ahead)
    _table(
        "segments",
        ["name"],
        **{"name": TEXT, "reason": TEXT, "author": TEXT, "created_at": INT, "behind?": INT, "ending": BOOL},
    )
    _table("segment_members", ["name", "number"], name=TEXT, number=INT)
    op.create_index("segment_members_number", "segment_members", ["number"])
    _table(
        "segment_overrides",
        ["name", "feature"],
        **{
            "name": TEXT,
            "feature": TEXT,
            "setting": BYTES,
            "starts_at?": INT,
            "expires_at?": INT,
            "reason": TEXT,
            "author": TEXT,
            "created_at": INT,
        },
    )
    _table("answers", ["key"], key=TEXT, at=INT, digest=BYTES, answer=BYTES)
    op.create_index("answers_at", "answers", ["at"])
    _numbered(
        "audit",
        **{
            "at": INT,
            "author": TEXT,
            "action": TEXT,
            "subject": TEXT,
            "reason": TEXT,
            "before?": BYTES,
            "after?": BYTES,
        },
    )


def _events() -> None:
    _table(
        "events",
        ["place"],
        **{
            "place": INT,
            "id": TEXT,
            "kind": TEXT,
            "at": INT,
            "number?": INT,
            "customer?": TEXT,
            "data": BYTES,
        },
    )
    op.create_index("events_id", "events", ["id"], unique=True)
    op.create_index("events_customer", "events", ["number", "place"])
    op.create_index("events_kind", "events", ["kind", "place"])
    _table(
        "notices",
        ["number", "pool", "kind", "subject"],
        **{
            "number": INT,
            "pool": TEXT,
            "kind": TEXT,
            "subject": TEXT,
            "at": INT,
            "due_at": INT,
            "told_at?": INT,
        },
    )
    _partial("notices_due", "notices", ["due_at"], "told_at IS NULL")
    _table(
        "top_ups",
        ["number", "pool"],
        **{
            "number": INT,
            "pool": TEXT,
            "threshold": INT,
            "target": INT,
            "monthly_cap?": INT,
            "cost?": INT,
            "currency?": TEXT,
            "month": INT,
            "units": INT,
            "sequence": INT,
            "due_at?": INT,
            "reason": TEXT,
            "author": TEXT,
            "created_at": INT,
            "removed_at?": INT,
        },
    )
    _partial("top_ups_due", "top_ups", ["due_at"], "due_at IS NOT NULL")
    _table(
        "webhooks",
        ["id"],
        **{
            "id": TEXT,
            "url": TEXT,
            "kinds?": BYTES,
            "secrets": BYTES,
            "enabled": BOOL,
            "author": TEXT,
            "created_at": INT,
        },
    )
    op.create_index("webhooks_url", "webhooks", ["url"], unique=True)
    _table(
        "deliveries",
        ["id"],
        id=TEXT,
        webhook=TEXT,
        event=INT,
        attempts=INT,
        next_at=INT,
        claimed_until=INT,
        state=TEXT,
        why=TEXT,
        changed_at=INT,
    )
    op.create_index("deliveries_state", "deliveries", ["state", "id"])
    waiting = "state = 'waiting'"
    _partial("deliveries_waiting", "deliveries", ["webhook", "event"], waiting)
    _partial("deliveries_next", "deliveries", ["webhook", "next_at"], waiting)
    claimed = f"{waiting} AND claimed_until > 0"
    _partial("deliveries_claimed", "deliveries", ["webhook", "claimed_until"], claimed)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=text(where), postgresql_where=text(where))


def _table(name: str, key: list[str], /, *constraints: CheckConstraint, **columns: Any) -> None:
    """A table that is kept in the order of its key."""
    op.create_table(
        name, *_columns(columns), PrimaryKeyConstraint(*key), *constraints, sqlite_with_rowid=False
    )


def _numbered(name: str, /, **columns: Any) -> None:
    """A table whose rows the database numbers."""
    op.create_table(name, Column("number", NUMBER, primary_key=True), *_columns(columns))


def _columns(columns: dict[str, Any]) -> list[Column[Any]]:
    """A name that ends with ? may be empty."""
    return [
        Column(name.rstrip("?"), kind, nullable=name.endswith("?"), autoincrement=False)
        for name, kind in columns.items()
    ]
