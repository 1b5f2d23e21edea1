"""The job of docs/jobs.md: it scans an hour, once, and says how it went by its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import gpumon


def write(folder: Path, shift: float, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(3):
        table = pa.table({"x": rng.normal(shift, 1, 4000), "c": rng.choice(["a", "b"], 4000)})
        pq.write_table(table, folder / f"{i}.parquet")


@pytest.fixture
def job(root: Path, tmp_path: Path):
    """``job(hour)`` runs the script; gives its exit code and what it printed."""
    write(tmp_path / "reference", 0, 0)
    (tmp_path / "monitor").mkdir()
    gpumon.profile(str(tmp_path / "reference")).save(tmp_path / "monitor" / "reference.gpumon")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ROWS": str(tmp_path / "rows"),
        "MONITOR": str(tmp_path / "monitor"),
    }

    def run(*hour: str) -> tuple[int, str]:
        ran = subprocess.run(
            [root / "docs" / "jobs" / "hourly.sh", *hour],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.name != ".lock"
    }


def test_an_hour_is_scanned_once(job, tmp_path):
    hour = "2026-03-01T05"
    out = tmp_path / "monitor" / "hours" / hour
    code, said = job(hour)
    assert code == 3  # the hour has no rows yet
    assert "hour=2026-03-01T05" in said
    assert contents(out) == {}
    write(tmp_path / "rows" / f"hour={hour}", 1, 1)
    assert job(hour) == (2, "")
    first = contents(out)
    assert set(first) == {"profile.gpumon", "report.html", "report.json", "exit"}
    assert gpumon.Profile.load(out / "profile.gpumon").rows == 12_000
    assert job(hour) == (2, "")
    assert contents(out) == first
    (out / "exit").unlink()
    (out / "profile.gpumon").unlink()  # as if the job had been killed
    assert job(hour) == (2, "")
    assert contents(out)["profile.gpumon"][0] == first["profile.gpumon"][0]


def test_without_an_hour_it_takes_the_last_one_that_is_over(job, tmp_path):
    hour = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H")
    write(tmp_path / "rows" / f"hour={hour}", 0, 2)
    assert job()[0] == 0
    assert (tmp_path / "monitor" / "hours" / hour / "exit").read_text() == "0\n"


def test_the_manifest_runs_the_script_with_what_it_asks_for(root):
    manifest = yaml.safe_load((root / "docs" / "jobs" / "cronjob.yaml").read_text())
    script = (root / "docs" / "jobs" / "hourly.sh").read_text()
    assert (manifest["apiVersion"], manifest["kind"]) == ("batch/v1", "CronJob")
    assert manifest["spec"]["concurrencyPolicy"] == "Forbid"
    job = manifest["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["/opt/gpumon/hourly.sh"]
    asked = {item["name"] for item in container["env"]}
    assert {
        name for name in ("ROWS", "MONITOR", "SCHEDULER") if f"${name}" in script or f"${{{name}" in script
    } <= asked
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [1, 2]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in job["template"]["spec"]["volumes"]}
