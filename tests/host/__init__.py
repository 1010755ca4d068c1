"""Owners, workers and hosts that follow a hub."""
