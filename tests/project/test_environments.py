"""The lower bounds of pyproject.toml, repeated for conda and for the job with the oldest versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

RAPIDS = {
    "numba": "0.64.0",
    "numpy": "2.4.0",
    "pandas": "3.0.1",
    "dask": "2026.7.1",
    "distributed": "2026.7.1",
}
"""Versions that RAPIDS 26.10 settles on: gpumon must admit them."""


def requirements(texts: list[Any]) -> dict[str, Requirement]:
    found = [Requirement(text) for text in texts if isinstance(text, str)]
    return {requirement.name.lower(): requirement for requirement in found}


def lower_bound(requirement: Requirement) -> str | None:
    return next((it.version for it in requirement.specifier if it.operator == ">="), None)


@pytest.fixture
def core(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    return requirements(pyproject["project"]["dependencies"])


@pytest.fixture
def optional(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    extras = pyproject["project"]["optional-dependencies"]
    return requirements([*extras["pandas"], *extras["polars"]])


@pytest.fixture
def conda(root: Path) -> dict[str, SpecifierSet]:
    listed = yaml.safe_load((root / "environment.yml").read_text("utf-8"))["dependencies"]
    pairs = (re.fullmatch(r"([a-z0-9-]+)(.*)", text).groups() for text in listed)
    return {name: SpecifierSet(re.sub(r"^=(?!=)(.*)", r"==\1.*", spec)) for name, spec in pairs}


def test_conda_asks_for_every_dependency_with_the_same_lower_bound(core, optional, conda):
    for name, requirement in {**core, **optional}.items():
        assert str(conda[name]) == str(requirement.specifier), name


def test_conda_asks_for_a_python_that_gpumon_admits(pyproject: dict[str, Any], conda):
    admitted = SpecifierSet(pyproject["project"]["requires-python"])
    versions = [f"3.{minor}" for minor in range(8, 20) if conda["python"].contains(f"3.{minor}")]
    assert versions
    assert all(admitted.contains(version) for version in versions)


def test_conda_and_pip_ask_for_the_same_rapids(pyproject: dict[str, Any], conda):
    gpu = requirements(pyproject["project"]["optional-dependencies"]["cu13"])
    for name, other in (("cudf-cu13", "cudf"), ("dask-cudf-cu13", "dask-cudf"), ("dask-cuda", "dask-cuda")):
        assert str(gpu[name].specifier) == str(conda[other]), name
    assert str(gpu["cupy-cuda13x"].specifier) == str(conda["cupy"])
    assert gpu["numba-cuda"].specifier == conda["numba-cuda"]


def test_what_rapids_settles_on_is_admitted(core, optional, conda):
    for name, version in RAPIDS.items():
        assert {**core, **optional}[name].specifier.contains(version), name
        assert conda[name].contains(version), name


def test_the_gpu_extras_differ_in_the_cuda_version_alone(pyproject: dict[str, Any]):
    extras = pyproject["project"]["optional-dependencies"]
    twelve, thirteen = (
        [re.sub(rf"(cu|cuda){cuda}", r"\1", str(Requirement(text))) for text in extras[f"cu{cuda}"]]
        for cuda in ("12", "13")
    )
    assert twelve == thirteen


def test_the_oldest_versions_are_the_lower_bounds(pyproject: dict[str, Any], core, optional, root: Path):
    tested = requirements(pyproject["dependency-groups"]["test"])
    bounds = {name: lower_bound(requirement) for name, requirement in {**core, **optional, **tested}.items()}
    lines = (root / "tests" / "project" / "oldest.txt").read_text("utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert oldest == {name: f"{bound}.*" for name, bound in sorted(bounds.items())}
