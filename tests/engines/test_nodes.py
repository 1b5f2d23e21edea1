"""Scheduler and workers as processes of their own, at addresses of their own, as on many machines; and who goes away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
import pytest
from distributed import Client

import gpumon
from gpumon.engines.part import Tree

SPAWNED = {**os.environ, "PYTHONUNBUFFERED": "1"}


class Nodes(NamedTuple):
    scheduler: subprocess.Popen[bytes]
    file: Path
    address: str
    settings: dict[str, str]  # of Dask, for who is to be let in


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *command], env=SPAWNED, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def nodes(tmp_path) -> Iterator[Nodes]:
    """A scheduler at 127.0.0.1 and workers at 127.0.0.2 and 127.0.0.3, all with TLS and certificates of their own."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificates with the openssl command, which is not installed")
    key, certificate, file = (str(tmp_path / name) for name in ("key.pem", "cert.pem", "scheduler.json"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    tls = ("--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key)
    with ExitStack() as stack, (tmp_path / "log").open("wb") as log:
        scheduler = stack.enter_context(
            running("-m", "dask", "scheduler", "--host", "tls://127.0.0.1:0", "--scheduler-file", file,
                    "--no-dashboard", "--no-show", *tls, stderr=log)
        )  # fmt: skip
        for host in ("127.0.0.2", "127.0.0.3"):
            stack.enter_context(
                running("-m", "dask", "worker", "--scheduler-file", file, "--host", f"tls://{host}", "--no-dashboard",
                        "--nthreads", "1", "--local-directory", str(tmp_path), *tls, stderr=log)
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not Path(file).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        settings = {
            "distributed.comm.tls.ca-file": certificate,
            "distributed.comm.tls.client.cert": certificate,
            "distributed.comm.tls.client.key": key,
        }
        yield Nodes(scheduler, Path(file), json.loads(Path(file).read_text())["address"], settings)


@pytest.fixture
def after_sums(monkeypatch):
    """``after_sums(n, act)``: act once, when n sums of 8 partitions have come from the workers."""

    def wait(n, act):
        put, came = Tree.put, []

        def watched(*arguments):
            put(*arguments)
            came.append(arguments)
            if len(came) == n:
                act()

        monkeypatch.setattr(Tree, "put", watched)

    return wait


def test_many_nodes_with_certificates_until_the_scheduler_goes_away(
    nodes, many, tmp_path, small_partitions, after_sums
):
    assert nodes.address.startswith("tls://127.0.0.1:")
    with pytest.raises(gpumon.EngineError, match="TLS__CA_FILE"):
        gpumon.profile(str(many), engine=nodes.address)
    with dask.config.set(nodes.settings):
        expected = gpumon.profile(str(many), engine="local")
        with Client(nodes.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        found = gpumon.profile(str(many), engine=nodes.file, like=expected)
        assert found.facts["work"]["engine"] == f"dask, 2 workers, 2 threads at the scheduler {nodes.address}"
        for key, state in expected.states.items():
            if hasattr(state, "counts"):
                assert np.array_equal(state.counts, found.states[key].counts)

        out = tmp_path / "out.gpumon"
        environment = {
            f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value
            for name, value in nodes.settings.items()
        }
        subprocess.run(
            [
                sys.executable,
                "-m",
                "gpumon",
                "profile",
                str(many),
                "-o",
                str(out),
                "--scheduler",
                nodes.address,
            ],
            env={**SPAWNED, **environment},
            check=True,
            capture_output=True,
        )
        assert gpumon.Profile.load(out).rows == 60_000

        after_sums(2, nodes.scheduler.kill)
        kept = tmp_path / "kept"
        options = {"like": expected, "resume": kept}
        with pytest.raises(gpumon.EngineError, match=r"of 60 partitions are kept in .*kept: run again"):
            gpumon.profile(str(many), engine=nodes.file, **options)
    part = gpumon.Profile.load(kept / "table.gpumon")
    assert 0 < part.rows < 60_000
    assert len(part.facts["missing"]) == 60 - part.rows // 1000
    resumed = gpumon.profile(str(many), engine="local", **options)
    assert resumed.rows == 60_000
    assert np.array_equal(resumed.state("x").counts, expected.state("x").counts)
    assert np.allclose(resumed.state("x").moments, expected.state("x").moments, rtol=1e-12)


INTERRUPTED = """
import signal, sys
import gpumon, gpumon.tables.parquet
from gpumon import cli
from gpumon.engines.part import Tree

gpumon.tables.parquet.PARTITION_ROWS = 1000
put = Tree.put

def told(*arguments):
    put(*arguments)
    print("sum", flush=True)

if __name__ == "__main__":
    Tree.put = told
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without
    sys.argv = ["gpumon", "profile", *sys.argv[1:]]
    cli.main()
"""


def ends(group: int) -> bool:
    """Whether all processes of a group are gone within ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_keeps_what_was_counted_and_leaves_no_process_behind(many, tmp_path):
    kept, script = tmp_path / "kept", tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    options = (str(many), "-o", str(tmp_path / "out.gpumon"), "--engine", "dask", "--workers", "1")
    with running(
        str(script), *options, "--resume", str(kept), "--quiet",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"sum\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the job
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3
        (told,) = (line for line in err.decode().splitlines() if line.startswith("gpumon: "))
        assert told.startswith("gpumon: interrupted; ")
        assert told.endswith("run again with the same resume to count the rest")
    assert ends(process.pid)
    part = gpumon.Profile.load(kept / "table.gpumon")
    assert 0 < part.rows < 60_000
    assert part.facts["missing"]


CUDA = """
import os
import gpumon
from distributed import Client
from gpumon.engines.dask.cluster import cuda_cluster

if __name__ == "__main__":
    bare = {"rmm_async": False, "rmm_allocator_external_lib_list": [], "enable_cudf_spill": False, "pre_import": None}
    with cuda_cluster(device_memory_limit=0, **bare) as cluster, Client(cluster) as client:
        print(sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()))
        print(gpumon.profile({PATH!r}, engine="auto").facts["work"]["engine"])
"""


@pytest.fixture
def stub(tmp_path) -> str:
    """The folder of a library that shows two GPUs as the driver's would."""
    if shutil.which("gcc") is None:
        pytest.skip("compiles the stub of NVML with gcc, which is not installed")
    source, library = Path(__file__).parents[1] / "nvml_stub.c", tmp_path / "libnvidia-ml.so.1"
    command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return str(tmp_path)


ENERGY = """
import gpumon

rows = {"x": [1.0, 2.0, 3.0]}
print(gpumon.scan(rows, rows).facts.get("Energy"))
"""


def test_the_report_tells_the_joules_that_the_driver_counted(stub):
    """The stub adds one joule whenever a GPU is asked: of two GPUs, four between the readings."""
    for folder, told in ((stub, "4.0 J by 2 GPUs"), ("", "None")):
        environment = {**SPAWNED, "LD_LIBRARY_PATH": folder, "NVML_STUB_COUNT": "2"}
        ran = subprocess.run(
            [sys.executable, "-c", ENERGY], env=environment, capture_output=True, text=True, check=True
        )
        if folder or not _has_driver():
            assert ran.stdout.strip() == told


def _has_driver() -> bool:
    return shutil.which("nvidia-smi") is not None


def test_a_worker_for_every_gpu_that_the_driver_shows(many, tmp_path, stub):
    """LocalCUDACluster for real, on GPUs that a stub of the driver's library shows."""
    site = os.environ.get("GPUMON_DASK_CUDA", "")  # a folder that has it, where it is not installed
    if not site:
        pytest.importorskip("dask_cuda")
    script = tmp_path / "start.py"
    script.write_text(CUDA.replace("{PATH!r}", repr(str(many))))
    ran = subprocess.run(
        [sys.executable, str(script)],
        env={**SPAWNED, "LD_LIBRARY_PATH": stub, "PYTHONPATH": site, "NVML_STUB_COUNT": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    devices, engine = ran.stdout.splitlines()
    assert devices == "['0,1', '1,0']"
    assert engine.startswith("dask, 1 worker, 2 threads at the scheduler tcp://127.0.0.1")
