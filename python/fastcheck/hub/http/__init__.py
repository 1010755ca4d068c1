"""The hub's HTTP API: routes, bounds, entity tags, problem documents, OpenAPI, health, snapshots.

May import: base, wire, hub.access, hub.service, hub.stream, hub.parts.
Boundaries: Translates between HTTP and requests; no rule about customers or credits is here."""
