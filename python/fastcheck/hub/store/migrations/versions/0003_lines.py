"""Lines of plans with identities and what was used of them, purchases, deletions that can be undone."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, Text, text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT, BYTES = BigInteger(), LargeBinary()
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_LEFT = "CASE WHEN parked IS NULL THEN remaining - rolled ELSE parked END"
"""Of a grant's own amount."""


def upgrade() -> None:
    """What was used of a grant in its period is what its own amount lacks. The background looks at every
    customer once, since accounts may never have been written."""
    op.add_column("catalog", Column("lines", BYTES, nullable=True))
    for table in ("grants", "grants_past"):
        op.add_column(table, Column("allowed", INT, nullable=False, server_default=text("0")))
        op.add_column(table, Column("used", INT, nullable=False, server_default=text("0")))
        op.execute(
            f"UPDATE {table} SET allowed = amount, "
            f"used = CASE WHEN amount > {_LEFT} THEN amount - ({_LEFT}) ELSE 0 END"
        )
    op.create_table(
        "unbooked",
        Column("number", INT, nullable=False, autoincrement=False),
        PrimaryKeyConstraint("number"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO unbooked (number) SELECT number FROM customers WHERE NOT deleted")
    op.create_table(
        "deletions",
        Column("number", INT, nullable=False, autoincrement=False),
        Column("at", INT, nullable=False),
        Column("record", BYTES, nullable=False),
        Column("since", BYTES, nullable=True),
        Column("parts", BYTES, nullable=False),
        PrimaryKeyConstraint("number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "purchases",
        Column("id", TEXT, nullable=False),
        Column("number", INT, nullable=False, autoincrement=False),
        Column("addon", TEXT, nullable=False),
        Column("quantity", INT, nullable=False),
        Column("state", TEXT, nullable=False),
        Column("cost", INT, nullable=True),
        Column("currency", TEXT, nullable=True),
        Column("refunded", INT, nullable=False),
        Column("created_at", INT, nullable=False),
        Column("paid_at", INT, nullable=True),
        Column("ended_at", INT, nullable=True),
        Column("reason", TEXT, nullable=False),
        Column("author", TEXT, nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("purchases_customer", "purchases", ["number", "created_at"])
