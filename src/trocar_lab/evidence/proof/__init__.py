"""Proofs: test cases joined with evidence, and the verdicts computed from both."""
