"""Doors for other people's runtimes: thin, optional, and nothing of the device depends on them."""
