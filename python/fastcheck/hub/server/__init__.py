"""The hub's process: sockets, files, threads. What is decided is decided in `hub/`, without them."""
