"""Variants of a trained model: built, measured side by side, gated, and packed."""
