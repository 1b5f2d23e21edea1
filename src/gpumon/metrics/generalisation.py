"""Generalisation gaps (PS-08): what the main measures were in the reference less what they are now, with intervals."""

from __future__ import annotations

from gpumon.metrics.metric import GAP, Metric
from gpumon.metrics.over_time import HEADLINES
from gpumon.statistics import intervals

__all__ = ["GENERALISATION"]

GENERALISATION = tuple(
    Metric(
        "PS-08",
        f"{base.name}{GAP}",
        intervals.difference,
        reads=base.reads,
        unit=base.unit,
        of=base,
        method="from both intervals (MOVER)",
        about=f"{base.name.replace('_', ' ')} of the reference, such as the rows that the model was trained on, less that of "
        f"these rows; {'above' if base.better == 'higher' else 'below'} 0 where the model is worse than it was, with a 95 % interval. "
        "Has no verdict: the measure itself has. Source: Zou & Donner (2008), Stat. Med. 27.",
    )
    for base in HEADLINES
)
