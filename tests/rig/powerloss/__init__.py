"""A disk that keeps what was synced."""
