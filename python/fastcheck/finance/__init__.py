"""The finance export: pages of the ledger into files, compared to the unit.

May import: base, ledger, wire.
Boundaries: Reads through `admin` alone; books nothing."""
