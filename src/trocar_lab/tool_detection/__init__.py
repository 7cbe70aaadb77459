"""Tool-tip detection in the toolchain: train, evaluate, pack."""
