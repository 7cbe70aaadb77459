"""Latency evidence: record a bundle, verify it from its raw files, show it as a page."""
