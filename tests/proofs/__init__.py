"""Campaigns: mutants, kill sweeps, seeds. A sample of each runs with the tests; `make prove` runs all."""
