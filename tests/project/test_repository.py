"""What a commit must not carry, and what it must not forget."""

from __future__ import annotations

import re
from pathlib import Path

import gpumon

PLACES = re.compile(rb"(?<![\w.$\x7b])/(?:work|home|root|Users|mnt)/\w")
REGISTRIES = re.compile(
    rb"files\.pythonhosted\.org|pypi\.org/simple|deb\.debian\.org|registry\.npmjs\.org|--(?:extra-)?index-url"
)
BINARY = {".parquet", ".png", ".gpumon"}
LARGEST = 5 * 2**20


def test_no_file_names_a_place_on_somebodys_machine_or_a_registry(tracked: list[Path]):
    for path in tracked:
        if path.suffix not in BINARY and path != Path(__file__):
            content = path.read_bytes()
            for found in (PLACES.search(content), REGISTRIES.search(content)):
                assert found is None, f"{path}: {found[0]!r}"


def test_no_file_is_large(tracked: list[Path]):
    assert [path.name for path in tracked if path.stat().st_size > LARGEST] == []


def test_the_changes_and_the_metadata_tell_the_version(root: Path, pyproject):
    versions = re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] == gpumon.__version__ == pyproject["project"]["version"]


def test_what_is_made_is_ignored(root: Path, tracked: list[Path]):
    made = ("demo-report.html", "docs/_build/", "docs/generated/", ".venv")
    names = [path.relative_to(root).as_posix() for path in tracked]
    assert [name for name in names if name.startswith(made)] == []
