"""The owner of a directory that follows a hub: pure `protocol`, `demand`, `refetch` and `backoff`; `replica`
and `on_demand` put what came into checkpoint and arena; `connection` is the socket.

May import: base, wire, directory, host, admin, hub_client; never hub.
Boundaries: Believes the hub and nobody else; keeps the last good state whatever comes."""
