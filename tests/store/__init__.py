"""Stores and their tables: SQLite and PostgreSQL."""
