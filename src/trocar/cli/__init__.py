"""Layer 4: the command line, one of the doors to the applications."""
