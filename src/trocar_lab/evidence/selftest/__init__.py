"""Self-test of the gate: a clean demo and one seeded fault at a time."""
