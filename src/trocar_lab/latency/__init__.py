"""Latency evidence: record a bundle on a machine, verify it anywhere from its raw files, show it as a page."""
