"""Style rules as pure functions: root of a tree in, violations with place and remedy out.

What ruff enforces is not repeated here; ``test_guards`` proves that ruff's rules are switched on.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

__all__ = ["CODE_RULES", "Rule", "Violation", "missing_tests", "need_ids", "python_files"]

FUNCTION_LINES_MAX: Final = 60
FILE_LINES_MAX: Final = 500
BANNED_WORDS: Final = frozenset({
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "managers",
    "new",
})
CODE_FOLDERS: Final = ("src", "tests", "verification", "benchmarks", "docs")
LIMITS_FILE: Final = "src/trocar/contracts/limits.py"
BOUND_ENDINGS: Final = ("_MAX", "_MIN", "_DEFAULT")
BLIND_EXCEPT_FILES: Final = frozenset({"scheduler.py", "main.py"})

_VERSION_WORD: Final = re.compile(r"v\d+")
_NEED_LINE: Final = re.compile(
    r"# @need-ids: (?P<ids>(?:SRS|RCM)_[A-Z0-9_]+(?:, (?:SRS|RCM)_[A-Z0-9_]+)*)"
)
_NEED_LIKE: Final = re.compile(r"need.?ids?\b\s*[:=]|@need", re.IGNORECASE)
_SUPPRESSION: Final = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no\s*(?:cover|branch))(?P<rest>.*)"
)
_REASON: Final = re.compile(r"(?:^|\s)(?:-|#) *\S+ +\S+")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One place that breaks a rule.

    Attributes:
        rule: Name of the rule.
        path: File, relative to the root of the tree, with forward slashes.
        line: Line number, from 1.
        symbol: What is meant, such as a function's qualified name; part of the key of an exception.
        found: What was found.
        remedy: What to do about it.
        measured: The number found where the rule has a limit, else 0.
    """

    rule: str
    path: str
    line: int
    symbol: str
    found: str
    remedy: str
    measured: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.found}; {self.remedy}"


Rule = Callable[[Path], list[Violation]]


def python_files(root: Path, *folders: str) -> list[Path]:
    """Return the Python files below the folders of a tree, sorted."""
    found = (path for folder in folders for path in (root / folder).rglob("*.py"))
    return sorted(path for path in found if "__pycache__" not in path.parts)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file; parsed once for each state of it."""
    status = path.stat()
    return _parse(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1024)
def _parse(path: Path, mtime_ns: int, size_bytes: int) -> ast.Module:
    """Parse; time and size are part of the key only."""
    del mtime_ns, size_bytes
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.Module) -> Iterator[tuple[str, str, FunctionNode]]:
    """Yield (qualified name, name of the enclosing class or empty, node) of each function."""
    stack: list[tuple[str, str, ast.AST]] = [("", "", tree)]
    while stack:
        prefix, owner, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                stack.append((f"{prefix}{child.name}.", f"{prefix}{child.name}", child))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{child.name}", owner, child
                stack.append((f"{prefix}{child.name}.", owner, child))
            else:
                stack.append((prefix, owner, child))


def function_lengths(root: Path) -> list[Violation]:
    """Find functions with more lines than allowed; the docstring does not count."""
    found = []
    for path in python_files(root, *CODE_FOLDERS):
        for name, _, node in functions(parse(path)):
            count = _line_count(node)
            if count > FUNCTION_LINES_MAX:
                found.append(
                    Violation(
                        rule="function-length",
                        path=path.relative_to(root).as_posix(),
                        line=node.lineno,
                        symbol=name,
                        found=f"{name} has {count} lines, {FUNCTION_LINES_MAX} are allowed",
                        remedy="split it where a sentence can name the part",
                        measured=count,
                    )
                )
    return found


def _line_count(node: FunctionNode) -> int:
    """Return the lines of a function from ``def`` to its end, without the docstring."""
    count = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        count -= (first.end_lineno or first.lineno) - first.lineno + 1
    return count


def file_lengths(root: Path) -> list[Violation]:
    """Find files with more lines than allowed."""
    found = []
    for path in python_files(root, *CODE_FOLDERS):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > FILE_LINES_MAX:
            found.append(
                Violation(
                    rule="file-length",
                    path=path.relative_to(root).as_posix(),
                    line=FILE_LINES_MAX + 1,
                    symbol="",
                    found=f"{count} lines, {FILE_LINES_MAX} are allowed",
                    remedy="split the file by what it is about",
                    measured=count,
                )
            )
    return found


def recursions(root: Path) -> list[Violation]:
    """Find functions that call themselves, directly or through others of the same file."""
    found = []
    for path in python_files(root, "src"):
        calls, lines = _call_graph(parse(path))
        found += [
            Violation(
                rule="recursion",
                path=path.relative_to(root).as_posix(),
                line=lines[name],
                symbol=name,
                found=f"{name} reaches itself",
                remedy="write a loop with a stack whose length has a bound",
            )
            for name in sorted(_on_cycle(calls))
        ]
    return found


def _call_graph(tree: ast.Module) -> tuple[Mapping[str, set[str]], Mapping[str, int]]:
    """Return who calls whom among the functions of one file, and where each begins."""
    known = {name: (owner, node) for name, owner, node in functions(tree)}
    calls: dict[str, set[str]] = {}
    for name, (owner, node) in known.items():
        targets = {_target(call.func, name, owner) for call in _own_calls(node)}
        calls[name] = {match for group in targets for match in group if match in known}
    return calls, {name: node.lineno for name, (_, node) in known.items()}


def _own_calls(node: FunctionNode) -> Iterator[ast.Call]:
    """Yield the calls in a function's own body, not in functions defined inside it."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        current = stack.pop()
        if isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(current, ast.Call):
            yield current
        stack.extend(ast.iter_child_nodes(current))


def _target(function: ast.expr, caller: str, owner: str) -> tuple[str, ...]:
    """Return the qualified names that a called expression may stand for."""
    if isinstance(function, ast.Name):
        parts = caller.split(".")
        prefixes = [".".join(parts[:count]) for count in range(len(parts), -1, -1)]
        scopes = [prefix for prefix in prefixes if prefix != owner or not owner]
        return tuple(f"{prefix}.{function.id}".lstrip(".") for prefix in scopes)
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        holder = function.value.id
        return (f"{owner if holder in {'self', 'cls'} else holder}.{function.attr}",)
    return ()


def _on_cycle(calls: Mapping[str, set[str]]) -> set[str]:
    """Return the names that can be reached from themselves."""
    cyclic = set()
    for start, direct in calls.items():
        seen: set[str] = set()
        queue = list(direct)
        while queue:
            name = queue.pop()
            if name not in seen:
                seen.add(name)
                queue.extend(calls[name])
        if start in seen:
            cyclic.add(start)
    return cyclic


def banned_names(root: Path) -> list[Violation]:
    """Find modules, packages and classes whose name says nothing about what they hold."""
    found: set[Violation] = set()
    for path in python_files(root, "src", "tests", "verification", "benchmarks"):
        place = path.relative_to(root).as_posix()
        named = [(part.removesuffix(".py"), 1) for part in path.relative_to(root).parts]
        nodes = [node for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
        named += [(node.name, node.lineno) for node in nodes]
        for name, line in named:
            words = [w for w in _words(name) if w in BANNED_WORDS or _VERSION_WORD.fullmatch(w)]
            found.update(
                Violation(
                    rule="banned-name",
                    path=place,
                    line=line,
                    symbol=name,
                    found=f"{name!r} holds the word {word!r}",
                    remedy="name it after what it holds or does",
                )
                for word in words
            )
    return sorted(found)


def _words(name: str) -> list[str]:
    """Split a name in snake case or camel case into lower-case words."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return apart.lower().split("_")


def suppressions(root: Path) -> list[Violation]:
    """Find checks switched off without a reason, and blind excepts in the wrong place."""
    found = []
    for path in python_files(root, "src/trocar"):
        place = path.relative_to(root).as_posix()
        for line, text in _comments(path):
            match = _SUPPRESSION.search(text)
            if match is None:
                continue
            if not _REASON.search(match["rest"]):
                what, remedy = "a check is switched off without a reason", "append ' - ' and why"
            elif "BLE001" in match["rest"] and path.name not in BLIND_EXCEPT_FILES:
                what = "a blind except outside the outermost loops"
                remedy = "name the exceptions, or raise one of contracts.errors"
            else:
                continue
            found.append(Violation("suppression", place, line, text.strip(), what, remedy))
    return found


def need_ids(root: Path) -> list[Violation]:
    """Find need-id comments that the trace would not read as they were meant."""
    found = []
    for path in python_files(root, "src"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for line, text in _comments(path):
            if not _NEED_LIKE.search(text):
                continue
            fault = _need_fault(text, lines[line - 1], lines[line] if line < len(lines) else "")
            if fault:
                found.append(
                    Violation(
                        rule="need-ids",
                        path=path.relative_to(root).as_posix(),
                        line=line,
                        symbol=text.strip(),
                        found=fault,
                        remedy="write '# @need-ids: SRS_X_001, RCM_Y_001' above the code",
                    )
                )
    return found


def _need_fault(comment: str, own: str, following: str) -> str:
    """Return what is wrong with a need-id comment, or nothing."""
    match = _NEED_LINE.fullmatch(comment)
    if match is None:
        return f"{comment!r} is not a need-id comment"
    ids = match["ids"].split(", ")
    if len(set(ids)) != len(ids):
        return f"{comment!r} names an id twice"
    if own.strip() != comment:
        return "the comment stands behind code"
    if not following.strip() or following.strip().startswith("#"):
        return "no code on the line below"
    return ""


def _comments(path: Path) -> list[tuple[int, str]]:
    """Return (line, text) of each comment of a file."""
    source = io.StringIO(path.read_text(encoding="utf-8"))
    tokens = tokenize.generate_tokens(source.readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def missing_tests(root: Path) -> list[Violation]:
    """Find device files without their test file, and test files without their source file."""
    mirror = root / "tests" / "unit"
    sources = {
        path.relative_to(root / "src").parent / f"test_{path.name.removeprefix('_')}": path
        for path in python_files(root, "src/trocar")
        if _has_behaviour(path)
    }
    tests = {path.relative_to(mirror): path for path in mirror.glob("trocar/**/test_*.py")}
    found = [
        Violation(
            rule="mirror",
            path=source.relative_to(root).as_posix(),
            line=1,
            symbol="",
            found="no test file",
            remedy=f"write tests/unit/{name.as_posix()}",
        )
        for name, source in sources.items()
        if name not in tests
    ]
    found += [
        Violation(
            rule="mirror",
            path=test.relative_to(root).as_posix(),
            line=1,
            symbol="",
            found="no source file of this name",
            remedy="rename it after the file that it tests, or move it to another kind of test",
        )
        for name, test in tests.items()
        if name not in sources
    ]
    return sorted(found)


def stray_bounds(root: Path) -> list[Violation]:
    """Find numbers named as bounds of the device outside the one place for them."""
    return [
        Violation(
            rule="stray-bound",
            path=path.relative_to(root).as_posix(),
            line=node.lineno,
            symbol=name,
            found=f"{name} is a bound outside contracts/limits.py",
            remedy="move it there, or name it after what it is, if it bounds nothing",
        )
        for path in python_files(root, "src/trocar")
        if path.relative_to(root).as_posix() != LIMITS_FILE
        for node in parse(path).body
        for name in assigned_names(node)
        if name.endswith(BOUND_ENDINGS) and _is_number(node)
    ]


def _is_number(node: ast.stmt) -> bool:
    """Return whether a statement assigns a number or a sum, product or power of numbers."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    parts = [part for part in ast.walk(value or node) if isinstance(part, ast.expr)]
    numbers = [p for p in parts if isinstance(p, ast.Constant) and type(p.value) in {int, float}]
    kinds = (ast.BinOp, ast.UnaryOp)
    return bool(numbers) and all(p in numbers or isinstance(p, kinds) for p in parts)


def assigned_names(node: ast.stmt) -> list[str]:
    """Return the names that a statement assigns."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        return []
    return [
        part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
    ]


def _has_behaviour(path: Path) -> bool:
    """Return whether a file needs a test: an ``__init__`` without functions does not."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return path.name != "__init__.py" or any(isinstance(n, kinds) for n in ast.walk(parse(path)))


CODE_RULES: Final[Mapping[str, Rule]] = {
    "function-length": function_lengths,
    "file-length": file_lengths,
    "recursion": recursions,
    "banned-name": banned_names,
    "suppression": suppressions,
    "need-ids": need_ids,
    "mirror": missing_tests,
    "stray-bound": stray_bounds,
}
