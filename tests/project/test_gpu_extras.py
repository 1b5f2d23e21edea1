"""The GPU extras can be installed: pip finds versions of all that they ask for. Nothing is installed or kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

OFFLINE = "GPUMON_OFFLINE"
"""Set it where no package index answers."""

PLATFORMS = (
    "manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux_2_12",
    "manylinux2010", "manylinux1",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(OFFLINE in os.environ, reason=f"{OFFLINE} is set")
@pytest.mark.parametrize("cuda", ["12", "13"])
def test_pip_finds_what_the_gpu_extras_ask_for(cuda: str, root: Path, tmp_path: Path):
    report = tmp_path / "report.json"
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-input",
        "--only-binary", ":all:", "--python-version", "3.12",
        *(f"--platform={tag}_x86_64" for tag in PLATFORMS),
        "--target", str(tmp_path / "nowhere"), "--report", str(report),
    ]  # fmt: skip
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][f"cu{cuda}"]]
    done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {
        each["metadata"]["name"].lower(): each["metadata"]["version"]
        for each in json.loads(report.read_text())["install"]
    }
    assert found[f"cudf-cu{cuda}"].startswith("26.10.")
    assert found["numba-cuda"].startswith("0.30.")
    assert found["numba"].startswith("0.6")
    assert not (tmp_path / "nowhere").exists()
