"""Benchmarks: what Trocar costs over doing the same without it, beside its budgets."""
