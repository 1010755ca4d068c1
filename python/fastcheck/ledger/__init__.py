"""The ledger's arithmetic: no I/O and no clock; every instant is an argument.

- `model`: grants, accounts, rules
- `periods`: calendar and anniversary periods
- `burn`: burn order, and an account through time
- `plan`: grants that come with plans, add-ons and meters
- `lend`: what a host may be lent
"""
