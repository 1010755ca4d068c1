"""What a hub does by itself beside requests: rounds while it is elected, and the courier of webhooks.

May import: base, wire, hub.store, hub.webhooks, hub.service.
Boundaries: Decides when; what is done is a use case."""
