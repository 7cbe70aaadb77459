"""Layer 1: pure functions on pixels."""
