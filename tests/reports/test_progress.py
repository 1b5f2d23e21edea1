"""The bar tells rows, rates and what is left; without a terminal it keeps quiet."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

import gpumon
from gpumon.reports import progress


def test_a_bar_for_each_stage_with_rates(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 14.0])
    monkeypatch.setattr(progress, "_now", lambda: next(clock))
    console = Console(file=StringIO(), force_terminal=True, width=120, color_system=None)
    with progress.bar(console) as tick:
        tick("reference: files", 1, 4, 0)
        tick("reference: files", 4, 4, 0)
        tick("reference", 0, 4_000_000, 0)
        tick("reference", 2_000_000, 4_000_000, 8_000_000_000)
    shown = console.file.getvalue()
    assert "4 files" in shown
    assert "2/s" in shown
    assert "2,000,000 rows" in shown
    assert "500,000/s 2.00 GB/s" in shown


def test_a_bar_can_be_asked_for_and_is_quiet_in_a_pipe(capsys):
    assert gpumon.profile({"x": [1.0, 2.0]}, progress="bar").rows == 2
    assert "\x1b" not in capsys.readouterr().out
