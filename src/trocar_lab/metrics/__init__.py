"""Measures of agreement with a reference, and their intervals."""
