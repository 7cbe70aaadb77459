"""Measuring which small faults in the code of a risk control the tests notice."""
