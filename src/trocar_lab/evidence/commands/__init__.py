"""What the command line does beyond judging: approving, comparing, following a change."""
