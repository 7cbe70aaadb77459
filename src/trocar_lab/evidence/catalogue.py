"""The table of all rules, in the order in which they are printed."""

from __future__ import annotations

from typing import Final

from trocar_lab.evidence.rules import Rule
from trocar_lab.evidence.rules_coverage import COVERAGE_RULES
from trocar_lab.evidence.rules_evidence import EVIDENCE_RULES
from trocar_lab.evidence.rules_graph import GRAPH_RULES
from trocar_lab.evidence.rules_risk import RISK_RULES

RULES: Final[tuple[Rule, ...]] = (*GRAPH_RULES, *COVERAGE_RULES, *RISK_RULES, *EVIDENCE_RULES)
