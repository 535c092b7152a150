"""The house's own rules, which no linter knows: CONTRIBUTING.md says why."""

import ast
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter

import pytest
from tests.house import tree

FILE_LINES, FUNCTION_LINES, COLUMNS = 500, 60, 100

PYTHON = tree.files("src", suffix=".py")
TYPED = tree.files("src", suffix=".pyi")
TESTS = tree.files("tests", "tools", "benchmarks", suffix=".py")
RUST = tree.files("crates", suffix=".rs")
ROOMS = sorted(path.name for path in (tree.ROOT / "src/counterseal").iterdir() if path.is_dir())

TO_DO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root|Users|home/\w+)/\w|[A-Z]:\\Users")
"""Folders that are somebody's own, whose names say nothing to anybody else."""


def test_no_file_is_longer_than_one_sitting():
    lines = {tree.name(path): tree.text(path).count("\n") for path in [*PYTHON, *TYPED, *RUST]}
    assert [f"{name}: {n} lines" for name, n in lines.items() if n > FILE_LINES] == []


def test_no_function_is_longer_than_a_screen():
    functions = [(path, one) for path in PYTHON for one in tree.python_functions(path)]
    functions += [(path, one) for path in RUST for one in tree.rust_functions(path)]
    assert len(functions) > 2_000
    assert [
        f"{tree.name(path)} {one.name}: {one.lines} lines"
        for path, one in functions
        if one.lines > FUNCTION_LINES
    ] == []


def test_no_line_is_wider_than_the_page():
    assert [
        f"{tree.name(path)}:{number}: {len(line)} columns"
        for path in [*PYTHON, *TYPED, *TESTS, *RUST]
        for number, line in enumerate(tree.text(path).split("\n"), 1)
        if len(line) > COLUMNS
    ] == []


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for path in PYTHON:
        for node in tree.module(path).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(tree.name(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_no_files_of_a_room_import_each_other_in_a_circle(room):
    inside = {
        tree.dotted(path): path for path in tree.files(f"src/counterseal/{room}", suffix=".py")
    }
    graph = {name: tree.imports(path, set(inside)) for name, path in inside.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_every_module_says_what_it_is():
    assert [tree.name(path) for path in PYTHON if not ast.get_docstring(tree.module(path))] == []


def test_nothing_is_left_to_do():
    this = tree.ROOT / "tests/house/test_house.py"
    assert [
        f"{tree.name(path)}:{number}"
        for path in [*PYTHON, *TYPED, *TESTS, *RUST]
        if path != this
        for number, line in enumerate(tree.text(path).split("\n"), 1)
        if TO_DO.search(line)
    ] == []


def test_nothing_names_a_place_on_somebodys_machine():
    this = tree.ROOT / "tests/house/test_house.py"
    text = [*tree.files("docs", suffix=".md"), *tree.ROOT.glob("*.md"), tree.ROOT / "Makefile"]
    assert [
        f"{tree.name(path)}:{number}: {line.strip()}"
        for path in [*PYTHON, *TYPED, *TESTS, *RUST, *text]
        if path != this
        for number, line in enumerate(tree.text(path).split("\n"), 1)
        if MACHINE.search(line)
    ] == []
