"""Sphinx settings derived from the metamodel; docs/conf.py only copies them."""

from __future__ import annotations

import shutil
from typing import Any, Final

from trocar_lab.evidence.graph.metamodel import ANY, FieldRule, Metamodel, load_metamodel

INCLUDE_PATTERNS: Final = (
    "docs/**.rst",
    "requirements_spec/**.rst",
    "risk/**.rst",
    "verification/**.rst",
    "src/trocar/units/*/design.rst",
)
ROOT_DOC: Final = "docs/index"
# Drawn by Graphviz; left out where it is not installed, so that a bare machine builds all the rest.
FLOWS: Final = "docs/trace/flows.rst"


def settings() -> dict[str, Any]:
    """Return every value of conf.py, derived from the metamodel."""
    model = load_metamodel()
    can_draw = shutil.which("dot") is not None
    return {
        "project": "Trocar",
        "author": "Trocar contributors",
        "copyright": "Trocar contributors",
        "extensions": ["sphinx.ext.graphviz", "sphinx_needs"] if can_draw else ["sphinx_needs"],
        "root_doc": ROOT_DOC,
        "include_patterns": list(INCLUDE_PATTERNS),
        "exclude_patterns": ["docs/_build/**", *([] if can_draw else [FLOWS])],
        "source_suffix": {".rst": "restructuredtext"},
        "nitpicky": True,
        "html_theme": "furo",
        "html_static_path": ["_static"],
        "html_css_files": ["site.css"],
        "html_title": "Trocar (research use only)",
        "needs_id_regex": model.id_pattern,
        "needs_id_required": True,
        "needs_types": [_need_type(name, model) for name in model.type],
        "needs_fields": {name: _need_field(rule, model) for name, rule in model.field.items()},
        "needs_links": {name: _need_link(name, model) for name in model.link},
        "needs_flow_engine": "graphviz",
        "graphviz_output_format": "svg",
        "needs_build_json": True,
        "needs_reproducible_json": True,
        "needs_json_remove_defaults": False,
    }


def _need_type(name: str, model: Metamodel) -> dict[str, str]:
    """Return one entry of ``needs_types``."""
    rule = model.type[name]
    return {"directive": name, "title": rule.title, "prefix": rule.prefix, "color": rule.color}


def _need_field(rule: FieldRule, model: Metamodel) -> dict[str, Any]:
    """Return one entry of ``needs_fields``; every value is text."""
    schema: dict[str, Any] = {"type": "string"}
    if rule.vocabulary and not rule.many:
        schema["enum"] = list(model.vocabulary[rule.vocabulary])
    if rule.pattern and not rule.many:
        schema["pattern"] = model.pattern[rule.pattern]
    return {"description": rule.help or rule.title, "schema": schema, "nullable": True}


def _need_link(name: str, model: Metamodel) -> dict[str, Any]:
    """Return one entry of ``needs_links``; targets are the union over types that carry it."""
    rule = model.link[name]
    targets = {to for t in model.type.values() if name in t.links for to in t.links[name].to}
    entry: dict[str, Any] = {"outgoing": rule.outgoing, "incoming": rule.incoming}
    if ANY not in targets:
        entry["target_types"] = sorted(targets)
    return entry
