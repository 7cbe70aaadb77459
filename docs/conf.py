"""Sphinx configuration: every value is derived from the trace metamodel."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from trocar_lab.evidence.graph.sphinx_settings import settings

globals().update(settings())
