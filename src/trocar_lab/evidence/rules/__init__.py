"""Rules: pure functions over the project, each with its population."""
