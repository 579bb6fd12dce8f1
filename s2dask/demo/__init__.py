"""The demonstration: a session is simulated, processed and compared with its truth."""
