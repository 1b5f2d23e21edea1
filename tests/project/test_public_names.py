"""What is public is listed once, documented, and resolves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gpumon

HEAVY = (
    "numpy",
    "pyarrow",
    "numba",
    "scipy",
    "pandas",
    "polars",
    "rich",
    "jinja2",
    "click",
    "dask",
    "distributed",
)


def test_every_public_name_resolves_and_says_what_it_is():
    for name in gpumon.__all__:
        assert getattr(gpumon, name).__doc__, name


def test_every_public_name_is_in_the_reference(root: Path):
    reference = (root / "docs" / "api.md").read_text("utf-8")
    documented = {
        line.split()[-1].removeprefix("gpumon.") for line in reference.splitlines() if ":: " in line
    }
    assert documented - {"gpumon", "errors", "metrics.results.Results"} == set(gpumon.__all__)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(gpumon, "drift")


def test_importing_gpumon_loads_nothing_heavy():
    loaded = "import sys, gpumon; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout
    assert not set(HEAVY) & set(modules.split())


def test_a_scan_never_loads_what_it_does_not_need():
    loaded = "import sys, gpumon; gpumon.scan({'x': [1.0, 2.0]}, {'x': [1.0, 2.0]}); print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout
    assert not {"scipy.stats", "polars", "rich", "jinja2", "dask", "distributed"} & set(modules.split())
