"""The examples of README and documentation run as they stand, page by page, each page in a folder of its own.

``python`` blocks of a page share their names; ``pycon`` blocks are doctests; of a ``console`` block, the lines behind
"$ " go to a shell. What a scan found (exit codes 1 and 2) is no failure. Each folder has the two files of the first scan.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")])
FENCE = re.compile(r"^```(python|pycon|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.FAIL_FAST
UNUSABLE = 3


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the files that the first scan writes."""
    monkeypatch.chdir(tmp_path)
    first = blocks(ROOT / "docs" / "first_scan.md")[0]
    exec(compile(first.text, "first_scan.md", "exec"), {})
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_the_examples_of_a_page_run(page: Path, folder: Path):
    names: dict[str, Any] = {}
    for block in blocks(page):
        where = f"{name(page)}, line {block.line}"
        if block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "pycon":
            as_doctest(block, names, where)
        else:
            in_a_shell(block, folder, where)


def as_doctest(block: Block, names: dict[str, Any], where: str) -> None:
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line)
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    assert not said, "".join(said)
    names.update(test.globs)


def in_a_shell(block: Block, folder: Path, where: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in block.text.splitlines():
        command = line.removeprefix("$ ")
        if command == line or command.startswith("make "):
            continue
        ran = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode < UNUSABLE, f"{where}: {command}\n{ran.stderr}"


def test_the_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^\$ |`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
        assert set(named) <= targets, name(page)


def test_the_commands_that_are_named_exist():
    from gpumon.cli import cli

    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        named = re.findall(r"`gpumon ([a-z]+)", page.read_text("utf-8"))
        assert set(named) <= set(cli.commands), name(page)


def test_links_between_files_lead_somewhere():
    made = {"metrics.md", "command_line.md", *(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))}
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            target = page.parent / link
            assert target.exists() or (target.parent.name == "generated" and target.name in made), (
                page,
                link,
            )
