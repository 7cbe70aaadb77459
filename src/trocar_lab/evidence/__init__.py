"""Trace of needs, risk, source, tests and evidence: graph, verdicts, rules and report."""
