"""A process's part on a machine that checks: owner of its directory, or worker that asks the owner.

May import: base, wire, directory, admin.
Boundaries: Keeps the arena current and finds the owner; `embedded` and `following` fill the arena."""
