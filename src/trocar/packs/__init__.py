"""Layer 2: model packs. Nothing is loaded that was not verified first."""
