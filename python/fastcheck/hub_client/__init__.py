"""Clients of a hub: the methods of `ents.admin`, and what only a hub has. They need the extra `client`."""

from __future__ import annotations

from .async_client import AsyncHubClient
from .client import HubClient

__all__ = ["AsyncHubClient", "HubClient"]
