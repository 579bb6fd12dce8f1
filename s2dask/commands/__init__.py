"""The command line by subject: arguments only, the work is done elsewhere."""
