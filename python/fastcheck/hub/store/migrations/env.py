"""What Alembic runs: the migrations, on the connection and in the transaction it was given."""

from __future__ import annotations

from alembic import context

from fastcheck.hub.store.tables import LEDGER

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=LEDGER)
with context.begin_transaction():
    context.run_migrations()
