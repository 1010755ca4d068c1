"""Who may ask, how often, and which refusals are noted.

May import: base.
Boundaries: Judges tokens and rates; what a token may do is said by each operation."""
