"""Slow, obvious models and simulations that the product is compared with. No tests."""
