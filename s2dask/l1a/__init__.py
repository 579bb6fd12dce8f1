"""Level-1A: the lines of the instrument out of its source packets, with a quality layer."""
