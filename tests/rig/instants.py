"""Instants that tests share."""

MAY_2024_MS = 1_714_521_600_000
"""2024-05-01T00:00:00Z."""
