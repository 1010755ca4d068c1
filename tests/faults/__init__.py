"""The faults that fastcheck survives, by the numbers of the list of faults."""
