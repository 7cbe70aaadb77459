"""Records that a person signs: approvals, waivers, decisions, manual results."""
