"""The chain assembled: the one place where levels meet."""
