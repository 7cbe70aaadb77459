"""Rendered medical images with exact truth: what ships and what tests may use."""
