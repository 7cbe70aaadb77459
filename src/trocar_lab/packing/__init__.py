"""Build model packs: the only way in which a model reaches the device."""
