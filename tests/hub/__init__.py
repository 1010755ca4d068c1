"""Use cases, HTTP, stream and webhooks of the hub."""
