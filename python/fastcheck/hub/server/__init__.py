"""The hub over HTTP and WebSocket."""
