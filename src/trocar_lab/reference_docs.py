"""``python -m trocar_lab.reference_docs``: one page for each public module of the device.

Nothing is imported: the pages come from the syntax tree, so that no engine has to be installed and
the build stays quick. A module is public when it has an ``__all__``; what that names is on its
page, with the public methods of its classes.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trocar_lab.generated_text import is_current, parse_mode, write_texts

__all__ = ["FOLDER", "main", "module_page", "pages"]

FOLDER: Final = Path("docs", "reference", "api")
"""Where the pages lie; nothing else may be there."""

_SOURCE: Final = Path("src")
_SECTIONS: Final = ("Args", "Attributes", "Raises", "Returns", "Rules", "Source", "Yields")
_SECTION: Final = re.compile(rf"^({'|'.join(_SECTIONS)}):\s*(.*)$")
_ITEM: Final = re.compile(r"^([*\w][\w.*, ]*): +(.*)$")
_LITERAL: Final = re.compile(r"(``.+?``)")
_SPECIAL: Final = re.compile(r"([\\*|`])|(?<=\w)(_)(?!\w)")
_MARK: Final = (
    "This page is written by ``python -m trocar_lab.reference_docs --write``; do not edit it."
)

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def pages(root: Path) -> dict[Path, str]:
    """Return every page by its path, with their list.

    Args:
        root: The repository.
    """
    modules: dict[str, ast.Module] = {}
    for path in sorted((root / _SOURCE / "trocar").rglob("*.py")):
        parts = path.relative_to(root / _SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if _exported(tree):
            modules[name] = tree
    texts = {
        root / FOLDER / f"{name}.rst": module_page(name, tree) for name, tree in modules.items()
    }
    texts[root / FOLDER / "index.rst"] = _list_page(modules)
    return texts


def _list_page(modules: dict[str, ast.Module]) -> str:
    """Return the page that names all others."""
    lines = [*_title("Programming interface", "="), _MARK, ""]
    for name, tree in modules.items():
        summary = (ast.get_docstring(tree) or "").partition("\n\n")[0]
        lines.append(f"- :doc:`{name}`: {_prose(' '.join(summary.split()))}")
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {name}" for name in modules)]
    return "\n".join(lines) + "\n"


def module_page(name: str, tree: ast.Module) -> str:
    """Return the page of one module.

    Args:
        name: Its dotted name.
        tree: Its syntax tree.
    """
    lines = [*_title(f"``{name}``", "="), _MARK, "", *_docstring(ast.get_docstring(tree) or "")]
    definitions = {node.name: node for node in tree.body if isinstance(node, Definition)}
    constants = dict(_constants(tree.body))
    for public in _exported(tree):
        lines += _title(f"``{public}``", "-")
        if public in definitions:
            lines += _definition(definitions[public])
        elif public in constants:
            node, words = constants[public]
            lines += [*_code([ast.unparse(node)]), *_docstring(words)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _exported(tree: ast.Module) -> list[str]:
    """Return ``__all__`` in the order in which it is written, or nothing."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _constants(body: Sequence[ast.stmt]) -> Iterator[tuple[str, tuple[ast.stmt, str]]]:
    """Yield each assigned name with its statement and the string below it."""
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield ast.unparse(target), (node, _string(below))


def _string(node: ast.stmt | None) -> str:
    """Return the text of a statement that is nothing but a string."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return inspect.cleandoc(str(node.value.value))
    return ""


def _definition(node: Definition) -> list[str]:
    """Return a function, or a class with its members and public methods."""
    lines = [*_code([_signature(node)]), *_docstring(ast.get_docstring(node) or "")]
    if not isinstance(node, ast.ClassDef):
        return lines
    if any("Enum" in ast.unparse(base) for base in node.bases):
        for name, (statement, words) in _constants(node.body):
            value = ast.unparse(statement).partition("=")[2].strip()
            text = _prose(" ".join(words.split()))
            lines.append(f"- ``{name}`` = ``{value}``{f': {text}' if text else ''}")
        lines.append("")
    for member in node.body:
        if isinstance(member, _FUNCTIONS) and not member.name.startswith("_"):
            lines += [*_code([_head(member)]), *_docstring(ast.get_docstring(member) or "")]
    return lines


def _signature(node: Definition) -> str:
    """Return the head of a definition without its body; that of a class with its ``__init__``."""
    if not isinstance(node, ast.ClassDef):
        return _head(node)
    decorators = "".join(f"@{ast.unparse(decorator)}\n" for decorator in node.decorator_list)
    bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
    starts = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"]
    body = f"\n    {_head(starts[0])}" if starts else " ..."
    return f"{decorators}class {node.name}{f'({bases})' if bases else ''}:{body}"


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the head of a function with its decorators."""
    decorators = "".join(f"@{ast.unparse(decorator)}\n" for decorator in node.decorator_list)
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorators}{word} {node.name}({ast.unparse(node.args)}){returns}: ..."


def _title(text: str, mark: str) -> list[str]:
    """Return a title."""
    return ["", text, mark * len(text), ""]


def _code(snippets: Sequence[str]) -> list[str]:
    """Return a block of Python."""
    lines = "\n".join(snippets).splitlines()
    return ["", ".. code-block:: python", "", *(f"   {line}" for line in lines), ""]


def _docstring(text: str) -> list[str]:
    """Return a docstring in Google form as reStructuredText."""
    lines: list[str] = []
    section, body = "", []
    for line in [*text.splitlines(), None]:
        match = _SECTION.match(line) if line is not None else None
        if match is None and line is not None and not (section and line and line[0] != " "):
            body.append(line)
            continue
        lines += _section(section, body)
        section, body = (match[1], [match[2]]) if match else ("", [line or ""])
    return [*lines, ""]


def _section(name: str, body: Sequence[str]) -> list[str]:
    """Return one section of a docstring: prose, or a definition list of what it names."""
    text = inspect.cleandoc("\n".join(body)) if name else "\n".join(body)
    if not name:
        return ["", *_paragraphs(text), ""]
    items: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        match = _ITEM.match(line)
        if match and name in {"Args", "Attributes", "Raises"}:
            items.append((match[1], [match[2]]))
        elif items:
            items[-1][1].append(line.strip())
        else:
            items.append(("", [line.strip()]))
    lines = ["", f"**{'Arguments' if name == 'Args' else name}**", ""]
    for key, words in items:
        prose = _prose(" ".join(words))
        lines += [f"``{key}``", f"   {prose}"] if key else [prose, ""]
    return [*lines, ""]


def _paragraphs(text: str) -> list[str]:
    """Return prose with its literal blocks and lists kept."""
    lines: list[str] = []
    is_literal = False
    for line in text.splitlines():
        is_literal = is_literal and (not line or line[0] == " ")
        lines.append(line if is_literal else _prose(line))
        is_literal = is_literal or line.endswith("::")
    return lines


def _prose(line: str) -> str:
    """Return text in which only double back quotes keep their meaning."""
    parts = _LITERAL.split(line)
    parts[::2] = [_SPECIAL.sub(lambda match: f"\\{match[0]}", part) for part in parts[::2]]
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the pages; return 0 when none is stale, missing or left over, else 1."""
    options = parse_mode("trocar_lab.reference_docs", __doc__, arguments)
    texts = pages(options.root)
    left_over = sorted(set((options.root / FOLDER).glob("*")) - texts.keys())
    if options.write:
        write_texts(texts)
        for path in left_over:
            path.unlink()
        left_over = []
    stale = sorted(path for path, text in texts.items() if not is_current(path, text))
    for path in [*stale, *left_over]:
        print(f"{path}: {'stale or missing' if path in texts else 'has no module'}")
    if stale or left_over:
        print("run python -m trocar_lab.reference_docs --write")
        return 1
    print(f"{FOLDER.as_posix()} has {len(texts)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
