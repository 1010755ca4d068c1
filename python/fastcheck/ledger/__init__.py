"""The arithmetic of credits: grants, burns, refills, meters, what movements are worth. Integers and instants
in, integers out.

May import: errors.
Boundaries: No I/O, no clock, no catalog, no customer record: the hub makes grants and rules of those.

- `periods`: calendar and anniversary periods, in UTC or a named zone
- `model`: grants (terms), holdings (counters), accounts, rules, movements
- `engine` (on `burning`, with `slots`, `inorder`, `moved`): the one engine: boundaries, burns, refills,
  resets
- `burndown` (with `trace`): plain grants and usage over a span, with everything that happened
- `burn`: an account through time and use, on the engine
- `plan`: grants that come with plans, add-ons and meters
- `lend`: what a host may be lent
- `postings`: movements as double entry; the conservation law
"""
