"""A strict scan of need directives in RST files, without Sphinx.

It reads a small subset of RST on purpose and refuses everything else: what it reads must equal what
sphinx-needs reads (rule G1), and a reader that guesses would hide a need that Sphinx dropped.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trocar_lab.evidence.errors import NeedsSourceError
from trocar_lab.evidence.graph.metamodel import Frozen, Metamodel, load_metamodel, split_list
from trocar_lab.evidence.graph.need_graph import Graph
from trocar_lab.evidence.graph.needs import Need, collapse
from trocar_lab.evidence.graph.source_text import read_source

_DIRECTIVE: Final = re.compile(r"^(?P<indent>\s*)\.\. (?P<name>[a-z_]+)::(?: (?P<title>.*))?$")
_OPTION: Final = re.compile(r"^   :(?P<name>[a-z0-9_-]+):(?: (?P<value>.*))?$")
_LITERAL: Final = re.compile(
    r"^(?P<indent>\s*)(\.\. (code-block|literalinclude|parsed-literal|math)::.*|.*[^:\s.].*::|::)$"
)
SOURCE_GLOBS: Final = (
    "docs/**/*.rst",
    "requirements_spec/**/*.rst",
    "risk/**/*.rst",
    "verification/**/*.rst",
    "src/trocar/units/*/design.rst",
)


class SourceScan(Frozen):
    """What the source files hold.

    Attributes:
        needs: Every need in order of reading; ids may repeat, rule G1 says so.
        faults: ``path:line: reason`` for each directive that cannot be read.
    """

    needs: tuple[Need, ...]
    faults: tuple[str, ...]

    def by_id(self) -> dict[str, Need]:
        """Return the needs by id; the first of a repeated id counts."""
        table: dict[str, Need] = {}
        for need in self.needs:
            table.setdefault(need.need_id, need)
        return table


_NEEDS_FILE: Final = re.compile(
    r"(docs|requirements_spec|risk|verification)/.*\.rst|src/trocar/units/[^/]+/design\.rst"
)


def is_needs_file(path: str) -> bool:
    """Return whether a path, relative to the root, is one that may hold needs."""
    return _NEEDS_FILE.fullmatch(path) is not None and "_build" not in path.split("/")


def source_files(root: Path) -> list[Path]:
    """Return the RST files that may hold needs, sorted, generated pages left out."""
    found = {path for glob in SOURCE_GLOBS for path in root.glob(glob) if path.is_file()}
    return sorted(path for path in found if "_build" not in path.relative_to(root).parts)


def scan_sources(root: Path, model: Metamodel | None = None) -> SourceScan:
    """Return every need under ``root`` and every fault of reading one.

    Args:
        root: Repository root.
        model: Metamodel; the package's own when left out.
    """
    table = model or load_metamodel()
    needs: list[Need] = []
    faults: list[str] = []
    for path in source_files(root):
        name = path.relative_to(root).as_posix()
        for found in scan_text(read_source(path), place=name, model=table):
            if isinstance(found, Need):
                needs.append(found)
            else:
                faults.append(str(found))
    return SourceScan(needs=tuple(needs), faults=tuple(faults))


def source_graph(root: Path, model: Metamodel | None = None) -> Graph:
    """Return the graph of the needs as the source files hold them, without Sphinx.

    Raises:
        NeedsSourceError: A need cannot be read, or an id is defined twice.
    """
    return graph_of_scan(scan_sources(root, model), model)


def graph_of_scan(scan: SourceScan, model: Metamodel | None = None) -> Graph:
    """Return the graph of a scan.

    Raises:
        NeedsSourceError: A need cannot be read, an id is defined twice, or there is no need.
    """
    counts = Counter(need.need_id for need in scan.needs)
    twice = sorted(need_id for need_id, count in counts.items() if count > 1)
    if scan.faults or twice:
        faults = [*scan.faults, *(f"{need_id} is defined twice" for need_id in twice)]
        raise NeedsSourceError("; ".join(faults))
    if not scan.needs:
        raise NeedsSourceError(f"no need in {', '.join(SOURCE_GLOBS)}")
    return Graph(scan.needs, model)


def scan_text(text: str, *, place: str, model: Metamodel) -> Iterator[Need | NeedsSourceError]:
    """Yield the needs and the faults of one file, in order.

    Args:
        text: Content of the file.
        place: Its path, for messages.
        model: Metamodel.
    """
    lines = text.splitlines()
    index = 0
    literal_indent = -1
    while index < len(lines):
        line = lines[index]
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent <= literal_indent:
            literal_indent = -1
        match = _DIRECTIVE.match(line)
        if literal_indent < 0 and match and match["name"] in model.type:
            end = _block_end(lines, index)
            yield _read_guarded(lines[index:end], place=f"{place}:{index + 1}", model=model)
            index = max(end, index + 1) if indent == 0 else index + 1
            continue
        if (
            literal_indent < 0
            and _LITERAL.match(line)
            and not (match and match["name"] in model.type)
        ):
            literal_indent = indent
        index += 1


def _block_end(lines: list[str], start: int) -> int:
    """Return the index after the last line that belongs to the directive at ``start``."""
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    return end


def _read_guarded(block: list[str], *, place: str, model: Metamodel) -> Need | NeedsSourceError:
    """Return the need of one block, or the fault as a value."""
    try:
        return _read_block(block, place=place, model=model)
    except NeedsSourceError as exc:
        return NeedsSourceError(f"{place}: {exc}")


def _read_block(block: list[str], *, place: str, model: Metamodel) -> Need:
    """Return the need of one block.

    Raises:
        NeedsSourceError: The block is not in the subset that both readers understand alike.
    """
    match = _DIRECTIVE.match(block[0])
    if match is None or match["indent"]:
        raise NeedsSourceError("a need directive starts in column 0 and not inside another block")
    need_type, title = match["name"], collapse(match["title"] or "")
    if not title:
        raise NeedsSourceError(f"{need_type} has no title on the line of the directive")
    options, body_start = _read_options(block)
    rule = model.type[need_type]
    allowed = {"id", "status", *rule.fields, *rule.links}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise NeedsSourceError(
            f"{need_type} has no option {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}"
        )
    if "id" not in options:
        raise NeedsSourceError(f"{need_type} {title!r} has no :id:")
    fields = {name: options[name] for name in rule.fields if name in options and name != "status"}
    links = {name: tuple(split_list(options[name])) for name in rule.links if name in options}
    return Need(
        need_id=options["id"],
        need_type=need_type,
        title=title,
        content=_read_body(block[body_start:], model),
        fields=fields,
        links=links,
        status=options.get("status", "draft"),
        place=place,
    )


def _read_options(block: list[str]) -> tuple[dict[str, str], int]:
    """Return the options and the index of the first line after them."""
    options: dict[str, str] = {}
    last = ""
    index = 1
    while index < len(block) and block[index].strip():
        line = block[index]
        match = _OPTION.match(line)
        if match:
            last = match["name"]
            if last in options:
                raise NeedsSourceError(f"option :{last}: is written twice")
            options[last] = collapse(match["value"] or "")
        elif last and line.startswith("    "):
            options[last] = collapse(f"{options[last]} {line}")
        else:
            raise NeedsSourceError(
                f"expected an option indented by 3 spaces or a blank line, got {line!r}"
            )
        index += 1
    empty = sorted(name for name, value in options.items() if not value)
    if empty:
        raise NeedsSourceError(f"option :{empty[0]}: is empty")
    return options, index


def _read_body(lines: list[str], model: Metamodel) -> str:
    """Return the body with white space collapsed; refuse a need inside a need."""
    for line in lines:
        if line.strip() and not line.startswith("   "):
            raise NeedsSourceError(f"the body is indented by 3 spaces, got {line!r}")
        match = _DIRECTIVE.match(line)
        if match and match["name"] in model.type:
            raise NeedsSourceError("a need inside a need")
    return collapse(textwrap.dedent("\n".join(lines)))
