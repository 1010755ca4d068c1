"""A directory that holds a host's or a hub's state: how it is made, and who owns it.

May import: base.
Boundaries: Knows the path and the lock; what lies in the directory belongs to whoever owns it."""
