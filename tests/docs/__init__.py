"""Documents and examples run as they stand."""
