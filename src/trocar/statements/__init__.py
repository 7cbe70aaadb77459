"""Layer 1: signed statements. Standard library only, so that a bare machine can read them too."""
