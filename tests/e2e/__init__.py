"""Whole programs: processes, the command line."""
