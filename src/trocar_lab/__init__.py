"""The toolchain: data, training, export, packing, metrics, evidence. Never part of the device."""
