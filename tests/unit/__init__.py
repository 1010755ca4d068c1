"""One module at a time, without disk, socket or native module where that is possible."""
