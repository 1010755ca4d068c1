"""The hub's side of the stream: the log of changes followed, a ring of encoded frames, sessions, sockets.

May import: base, wire, directory, hub.store (its types), hub.access, hub.metrics.
Boundaries: Sends what the log says, in order; makes no change and reads no customer."""
