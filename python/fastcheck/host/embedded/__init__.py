"""The owner of a directory with a ledger of its own: lends, settles, publishes rows, adopts what a
predecessor left.

May import: base, wire, directory, host, and, loaded lazily, hub.service with what it needs.
Boundaries: Owns cells and rows. What a change means is a use case of the hub."""
