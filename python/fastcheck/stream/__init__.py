"""The host's side of the stream: pure `protocol`, `demand`, `refetch` and `backoff`; `replica` and `held` put
what came into checkpoint and arena; `connection` is the socket."""
