"""Clusters: the active client, one that is started here, or one at an address."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster, default_client

from gpumon.errors import EngineError, OptionError
from gpumon.kernels import cuda_status

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["connected", "cuda_cluster"]

SCHEMES = ("tcp://", "tls://", "ucx://", "ucxx://", "ws://", "wss://", "inproc://")
PATIENCE = "10s"  # until a scheduler must have answered


@contextmanager
def connected(engine: Any, workers: int | None) -> Iterator[Client | None]:
    """A client of the cluster that ``engine`` names; None if that is "auto" and no client is active."""
    if isinstance(engine, Client):
        if engine.status != "running":
            raise EngineError(f"the client given as engine is {engine.status}: open a new one")
        yield engine
    elif engine == "auto":
        try:
            active = default_client()
        except ValueError:
            active = None
        yield (
            active if active is not None and active.status == "running" and not active.asynchronous else None
        )
    elif engine == "dask":
        with _started(workers) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
    elif isinstance(engine, str | os.PathLike):
        client = _joined(os.fspath(engine))
        try:
            yield client
        finally:
            try:
                client.close()
            except Exception:  # noqa: BLE001 (where the scheduler went away, whatever failed in looking for it comes out here)
                client.status = "closed"  # or it closes again when it is forgotten, which takes 20 seconds
    else:
        raise OptionError(
            f"engine {engine!r} is none: use auto, local, dask, the address of a scheduler (tcp://host:8786), the "
            "path of a scheduler file, or a distributed.Client"
        )


def _joined(place: str) -> Client:
    """A client of the scheduler at an address, or of the one that wrote a scheduler file."""
    if place.startswith(SCHEMES):
        where: dict[str, Any] = {"address": place}
    elif place.endswith(".json"):
        if not Path(place).is_file():
            raise EngineError(
                f"{place}: there is no such scheduler file; start dask scheduler --scheduler-file {place}"
            )
        where = {"scheduler_file": place}
    else:
        raise OptionError(
            f"engine {place!r} is unknown: use auto, local, dask, an address such as tcp://host:8786, or the path of a "
            "scheduler file that ends in .json"
        )
    try:
        return Client(**where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        told = " ".join(str(error).split())[:300]
        mend = (
            "name the certificates in Dask's configuration (DASK_DISTRIBUTED__COMM__TLS__CA_FILE and its kin)"
            if "tls" in place or "TLS" in told
            else "check that it runs and can be reached from here"
        )
        raise EngineError(f"the scheduler {place} does not answer ({told}): {mend}") from error


def _started(workers: int | None) -> Any:
    """A cluster of this machine: a worker a GPU where GPUs answer, else processes of one thread."""
    answers, _ = cuda_status()
    if answers:
        try:
            return cuda_cluster(workers)
        except ImportError as error:
            raise EngineError(
                "a GPU answers but dask-cuda is not installed: pip install 'gpumon[cu13]', or use engine='local'"
            ) from error
    n = workers or len(os.sched_getaffinity(0))
    return LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0")


def cuda_cluster(workers: int | None = None, **options: Any) -> Any:
    """A LocalCUDACluster: a worker a GPU, one pool of memory for CuPy and cuDF, spilling as the net.

    ``workers`` takes the first GPUs only; ``options`` go to LocalCUDACluster.
    """
    from dask_cuda import LocalCUDACluster

    wanted: dict[str, Any] = {
        "rmm_async": True,
        "rmm_allocator_external_lib_list": ["cupy"],
        "enable_cudf_spill": True,
        "pre_import": ["cudf", "cupy"],
        "protocol": "tcp",
        "dashboard_address": ":0",
    }
    if workers is not None:
        wanted["n_workers"] = workers
    return LocalCUDACluster(**(wanted | options))
