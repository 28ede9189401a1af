"""The links, paths, modules and commands that stand on the pages are there."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from chereme.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for folder in ("docs", "src") for page in (ROOT / folder).rglob("*.md")),
]
FOLDERS = ("docs", "src", "tests", "benchmarks", "configs", "tools", "examples")
CODE = re.compile(r"^```.*?^```|^ {4}.*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ | {4}|`)?(chereme [a-z][^`\n]*)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target
    for target in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w/.]+)`", page.read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_are_there(page: Path) -> None:
    for name in re.findall(r"`(chereme(?:\.\w+)+)`", page.read_text()):
        parts = name.split(".")
        found: Any = importlib.import_module(parts[0])
        for end in range(1, len(parts)):
            if not hasattr(found, parts[end]):
                importlib.import_module(".".join(parts[: end + 1]))
            found = getattr(found, parts[end])


def commands(page: Path) -> list[str]:
    """The commands of a page that are written out; a backslash joins lines."""
    text = re.sub(r" *\\\n *", " ", page.read_text())
    found = (line for code in CODE.findall(text) for line in COMMAND.findall(code))
    return [line.partition("  #")[0] for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_are_there(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line.translate(str.maketrans("[]", "  ")))[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "resolve_command") and re.match("[a-z]", " ".join(words)):
            context = command.context_class(command, info_name=line)
            _, command, words = command.resolve_command(context, words)
        if any(word.startswith("--config") for word in words):  # Lightning's own command line
            continue
        options = {o for p in command.params for o in [*p.opts, *p.secondary_opts]} | {"--help"}
        for word in words:
            assert not word.startswith("-") or word.partition("=")[0] in options, line
