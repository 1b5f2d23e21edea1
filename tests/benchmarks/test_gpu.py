"""The benchmark of the GPU runs, all of it, on a few rows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from gpumon.kernels import cuda_status


@pytest.mark.skipif(not cuda_status()[0], reason="needs the simulator: make cuda")
def test_every_part_of_the_benchmark_runs_and_agrees(tmp_path):
    path = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_gpu", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    assert benchmark.main(["--check", "--json", str(tmp_path / "gpu.json")]) == 0
    written = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert written["machine"]["versions"]["numpy"]
    assert list(written["parts"]) == list(benchmark.PARTS)
    told = [row for row in written["parts"]["one column"] if row["what"] == "agreement"]
    assert len(told) == 11
    for row in told:
        assert row["two runs"]
        assert row["counts, extremes, registers of the CPU"], row
        assert row["moments within 1e-12"], row
    assert all(row["seconds"] > 0 for row in written["parts"]["many columns"])
