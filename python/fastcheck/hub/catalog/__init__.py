"""The catalog as the hub reads it, and what a customer's plan, trial and add-ons stand for. Functions of
catalog, record and instant.

May import: base, ledger, wire.
Boundaries: No transaction and no table: use cases bring the record and keep the answer."""
