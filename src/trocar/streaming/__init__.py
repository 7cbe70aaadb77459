"""Layer 2: sources of frames, the loop that answers for every one of them, and where answers go."""
