"""Layer 0: values that cross a border, the ports of the device, its limits and its errors."""
