"""What the GPUs of this machine have drawn, as their driver counts it."""

from __future__ import annotations

from contextlib import suppress
from socket import gethostname
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Counters", "counters", "drawn"]

Counters = dict[tuple[str, str], int]  # (host, UUID of the GPU) → millijoules since its driver was loaded


def counters() -> Counters:
    """The energy counter of every GPU that NVML shows; empty where it does not answer, or counts no energy.

    A counter is of the whole GPU, whoever uses it, and goes on as long as the driver is loaded: only differences tell.
    """
    import pynvml

    found: Counters = {}
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            for i in range(pynvml.nvmlDeviceGetCount()):
                device = pynvml.nvmlDeviceGetHandleByIndex(i)
                with suppress(pynvml.NVMLError):
                    millijoules = int(pynvml.nvmlDeviceGetTotalEnergyConsumption(device))
                    found[gethostname(), pynvml.nvmlDeviceGetUUID(device)] = millijoules
        finally:
            pynvml.nvmlShutdown()
    return found


def drawn(before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]) -> str:
    """Joules between two readings, in words; empty if no GPU is in both.

    >>> drawn({("host", "GPU-0"): 1000}, {("host", "GPU-0"): 4500})
    '3.5 J by 1 GPU'
    """
    both = before.keys() & after.keys()
    joules = sum(after[gpu] - before[gpu] for gpu in both) / 1000
    return f"{joules:,.1f} J by {len(both):,} {'GPU' if len(both) == 1 else 'GPUs'}" if both else ""
