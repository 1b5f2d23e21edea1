"""Machine learning model monitoring that runs on GPUs: one pass, one mergeable profile, every metric.

report = gpumon.scan(current, reference)     # which columns moved, by how much, how sure that is
report = gpumon.evaluate(predictions, ...)   # how right a model is, over windows and segments, late labels joined
tuning = gpumon.tune(history, ...)           # which thresholds fit a budget of alerts, by replay
profile = gpumon.profile(table)              # what a table leaves behind: small, exact, mergeable
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpumon.api import evaluate, profile, scan, tune
    from gpumon.errors import (
        BackendError,
        EngineError,
        GpumonError,
        InputError,
        MergeError,
        OptionError,
        ProfileError,
        SchemaError,
    )
    from gpumon.metrics import CATALOGUE, Metric
    from gpumon.profiles.profile import Profile
    from gpumon.reports.report import Report
    from gpumon.reports.tuning import Tuning

__version__ = "0.1.0"

_HOME = {
    "evaluate": "gpumon.api",
    "profile": "gpumon.api",
    "scan": "gpumon.api",
    "tune": "gpumon.api",
    "Profile": "gpumon.profiles.profile",
    "Report": "gpumon.reports.report",
    "Tuning": "gpumon.reports.tuning",
    "CATALOGUE": "gpumon.metrics",
    "Metric": "gpumon.metrics",
    **dict.fromkeys(
        (
            "BackendError",
            "EngineError",
            "GpumonError",
            "InputError",
            "MergeError",
            "OptionError",
            "ProfileError",
            "SchemaError",
        ),
        "gpumon.errors",
    ),
}

__all__ = [
    "CATALOGUE",
    "BackendError",
    "EngineError",
    "GpumonError",
    "InputError",
    "MergeError",
    "Metric",
    "OptionError",
    "Profile",
    "ProfileError",
    "Report",
    "SchemaError",
    "Tuning",
    "evaluate",
    "profile",
    "scan",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used (PEP 562), so ``import gpumon`` is quick."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'gpumon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
