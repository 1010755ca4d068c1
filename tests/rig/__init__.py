"""What tests stand on: doubles, servers, processes. No tests."""
