"""Layer 3: applications. Each wires sources, units, packs and sinks; none does arithmetic."""
