"""The source of truth: catalog, customers, ledger, audit log, stream. `process` runs it, `app` is its HTTP
front, `parts` lives as long as the process.

May import: base, ledger, wire, directory; never host, admin or hub_client.
Boundaries: Owns the ledger. Use reaches it as totals of leases; customers leave it as records."""
