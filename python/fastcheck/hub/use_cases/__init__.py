"""What is done for each request, a subject a file: a function of the transaction and the request.

May import: base, ledger, wire, hub.catalog, hub.store, hub.webhooks (secrets, addresses).
Boundaries: Every business rule is here. Never opens a transaction, never knows HTTP, sockets or cells."""
