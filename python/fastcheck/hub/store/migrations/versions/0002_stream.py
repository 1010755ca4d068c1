"""The change log that hosts follow, and tokens. Never edited after its release: a later change is a later
file."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT, BYTES = BigInteger(), LargeBinary()
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes both. The digest of a ledger that has changes is summed by the first hub that streams it: it is
    of change 0, and the ledger is not at 0."""
    op.create_table(
        "changes",
        Column("seq", NUMBER, primary_key=True, autoincrement=False),
        Column("at", INT, nullable=False),
        Column("kind", TEXT, nullable=False),
        Column("body", BYTES, nullable=False),
        Column("count", INT, nullable=False),
        Column("digest", INT, nullable=False),
        Column("bytes_through", INT, nullable=False),
    )
    op.create_table(
        "tokens",
        Column("id", TEXT, nullable=False),
        Column("environment", TEXT, nullable=False),
        Column("name", TEXT, nullable=False),
        Column("scopes", TEXT, nullable=False),
        Column("secret_sha256", BYTES, nullable=False),
        Column("author", TEXT, nullable=False),
        Column("created_at", INT, nullable=False),
        Column("expires_at", INT, nullable=True),
        Column("revoked_at", INT, nullable=True),
        Column("last_used_at", INT, nullable=True),
        Column("rate_per_s", INT, nullable=True),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO meta (key, value) VALUES ('digest', 0), ('digest_seq', 0), ('changes_from', 1), "
        "('changes_bytes', 0)"
    )
