"""Polyp segmentation in the toolchain: train, evaluate, pack."""
