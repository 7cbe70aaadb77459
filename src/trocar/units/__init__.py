"""Layer 2: inference units. Each is one model with one contract, and blind to every other."""
