"""Identity over time as pure functions: assignment, motion, and the life of a track."""
