"""Clients of a hub: the methods of `ents.admin`, and what only a hub has. They need the extra `client`.

May import: base, wire, admin, finance; never hub.
Boundaries: Sends a request again where that is safe, and reads what is answered."""

from __future__ import annotations

from fastcheck.hub_client.async_client import AsyncHubClient
from fastcheck.hub_client.client import HubClient

__all__ = ["AsyncHubClient", "HubClient"]
