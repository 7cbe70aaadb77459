"""Releases: from a commit to a signed folder, and back."""
