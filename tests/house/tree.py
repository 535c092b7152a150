"""The project's own files, as the checks of this folder look at them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MADE = {".venv", "target", ".tools", "node_modules", "dist", "__pycache__"}
"""Folders that hold nothing anybody wrote."""

RUST_FUNCTION = re.compile(
    r'^( *)(?:pub(?:\([a-z]+\))? )?(?:const |async |unsafe |extern "C" )*fn (\w+)'
)


class Function(NamedTuple):
    """A function with the number of lines it takes, first and last included."""

    name: str
    lines: int


def files(*folders: str, suffix: str) -> list[Path]:
    """The files below these folders of the project, sorted."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob(f"*{suffix}")
        if not MADE.intersection(path.relative_to(ROOT).parts)
    )


def name(path: Path) -> str:
    """A file's name as people write it: from the project's folder on."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def text(path: Path) -> str:
    """A file's text."""
    return path.read_text(encoding="utf-8")


@functools.cache
def module(path: Path) -> ast.Module:
    """A Python file, parsed."""
    return ast.parse(text(path))


def python_functions(path: Path) -> Iterator[Function]:
    """The functions of a Python file, methods and inner functions among them."""
    for node in ast.walk(module(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield Function(node.name, node.end_lineno - node.lineno + 1)


def rust_functions(path: Path) -> Iterator[Function]:
    """The functions of a Rust file, which rustfmt has indented: each ends at the first closing
    brace in its own column.
    """
    lines = text(path).split("\n")
    for number, line in enumerate(lines):
        if (found := RUST_FUNCTION.match(line)) and not line.rstrip().endswith((";", "}")):
            last = next(i for i in range(number, len(lines)) if lines[i] == found[1] + "}")
            yield Function(found[2], last - number + 1)


def dotted(path: Path) -> str:
    """The name by which a file of src is imported."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules among `known` that a file of src imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(module(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found.update(inner or {node.module})
    return (found & known) - {dotted(path)}
