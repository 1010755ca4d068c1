"""The finance export: from pages of the ledger to files. Runs in the process that asked for it."""
