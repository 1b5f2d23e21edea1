"""The public functions: each composes read → count → measure → judge → report; none computes."""

from gpumon.api.counting import profile
from gpumon.api.evaluation import evaluate
from gpumon.api.scanning import scan
from gpumon.api.tuning import tune

__all__ = ["evaluate", "profile", "scan", "tune"]
