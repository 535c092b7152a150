"""The documents: every page can be reached, every link leads somewhere, every promise has its test,
and every command that a guide types exists.
"""

import ast
import re
import shlex

import click
import pytest
from tests.house import tree
from tools import draw_architecture, make_file_map

from counterseal.cli import main as commands

PAGES = sorted([*tree.files("docs", "tests", suffix=".md"), *tree.ROOT.glob("*.md")])
DOCS = [path for path in PAGES if "docs" in path.relative_to(tree.ROOT).parts]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED_FILE = re.compile(r"`((?:[\w-]+/)+[\w.-]*\.(?:py|rs|md|sh|toml|svg))`")
NAMED_TEST = re.compile(r"`([\w./-]*\.(?:py|rs))?(?:::(\w+))?`")
PROMISES = [tree.ROOT / "docs/threat-model.md", tree.ROOT / "tests/objections/README.md"]


def anchors(page):
    """The anchors of a page's headings, as they are made where it is shown."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(tree.text(page))
    }


def links(page):
    """A page's relative links: the file, and the part after # if there is one."""
    for target in LINK.findall(tree.text(page)):
        if "://" not in target and not target.startswith("mailto:"):
            place, _, anchor = target.partition("#")
            yield target, (page.parent / place).resolve() if place else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=tree.name)
def test_every_link_leads_somewhere(page):
    broken = [target for target, place, _ in links(page) if not place.exists()]
    assert not broken
    assert [
        target
        for target, place, anchor in links(page)
        if anchor and place.suffix == ".md" and anchor not in anchors(place)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=tree.name)
def test_every_file_that_a_page_names_exists(page):
    places = [tree.ROOT, tree.ROOT / "src/counterseal", tree.ROOT / "crates/counterseal-core"]
    missing = {
        name
        for name in NAMED_FILE.findall(tree.text(page))
        if not re.search("NAME|KIND|GROUP|RESOURCE|DIR", name)
        and not any((place / name).exists() for place in [page.parent, *places])
    }
    assert not missing


def test_every_page_can_be_reached_from_the_first():
    reached, found = set(), {tree.ROOT / "docs/README.md"}
    while found:
        page = found.pop()
        reached.add(page)
        if page.name == "README.md" and "docs" in page.parts:
            found |= {place for _, place, _ in links(page) if place.suffix == ".md"} - reached
    assert sorted(map(tree.name, set(DOCS) - reached)) == []


def test_the_readme_leads_to_every_kind_of_document():
    first = {place for _, place, _ in links(tree.ROOT / "README.md")}
    for name in ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/README.md"):
        assert tree.ROOT / name in first


@pytest.mark.parametrize("page", PROMISES, ids=tree.name)
def test_every_promise_names_a_test_that_exists(page):
    named = 0
    for row in tree.text(page).split("\n"):
        cells = row.strip("|").split("|")
        if not row.startswith("|") or ("::" not in cells[-1] and ".py`" not in cells[-1]):
            continue
        file = ""
        for path, name in NAMED_TEST.findall(cells[-1]):
            file = path or file
            text = tree.text(tree.ROOT / file)
            assert not name or re.search(rf"\b(def|fn) {name}\(", text), f"{file}::{name}"
            named += 1
    assert named > 15


def test_the_page_of_errors_has_the_table_of_the_code():
    said = ast.get_docstring(tree.module(tree.ROOT / "src/counterseal/protocol/errors.py"))
    rows = [line for line in said.split("\n") if line.startswith("| `")]
    page = tree.text(tree.ROOT / "docs/reference/errors.md").split("\n")
    assert rows == [line for line in page if line.startswith("| `")]


def test_decisions_are_numbered_without_a_hole_and_of_one_form():
    folder = tree.ROOT / "docs/decisions"
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    index = tree.text(folder / "README.md")
    for path in records:
        title, *parts = HEADING.findall(tree.text(path))
        assert title.startswith(path.name[:4] + " ")
        assert parts == ["Context", "Choice", "Consequence"], path.name
        assert f"| [{path.name[:4]}]({path.name}) | {title[5:]} |" in index


def typed_commands(page):
    """What a page types after `counterseal`: in its blocks, and between backticks."""
    text = tree.text(page).replace("\\\n", " ")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^(?:\$ )?counterseal ([a-z-].*)$", block, re.MULTILINE)
    yield from re.findall(r"`counterseal ([^`]+)`", text)


def resolve(words):
    """The command that these words name, and the words after its name."""
    command: click.Command = program()
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    return command, words


def program():
    """The program's commands."""
    [group] = [value for value in vars(commands).values() if isinstance(value, click.Group)]
    return group


@pytest.mark.parametrize("page", PAGES, ids=tree.name)
def test_every_command_that_a_page_types_exists(page):
    for line in typed_commands(page):
        words = shlex.split(line, comments=True)
        if words[0] in ("COMMAND", "--help"):
            continue
        command, rest = resolve(words)
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known, line


def test_the_map_of_files_is_up_to_date():
    assert tree.text(make_file_map.PAGE) == make_file_map.make(), "run tools/make_file_map.py"


def test_the_picture_is_up_to_date():
    drawn = draw_architecture.draw()
    assert tree.text(draw_architecture.PICTURE) == drawn, "run tools/draw_architecture.py"
