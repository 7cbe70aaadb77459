"""Layer 2: inference engines behind one port. What was asked for is what runs, or nothing does."""
