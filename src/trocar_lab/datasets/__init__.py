"""Real data sets: where they are, what is in them, how they are split."""
