"""Level 0: from the CADUs of a session to the source packets of a datastrip."""
