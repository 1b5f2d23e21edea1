"""Compile every CUDA kernel for every architecture, without a driver, and print what each takes.

    python tests/kernels/cuda/compile_kernels.py [--sass]

Exit code 1 if one does not compile, spills registers, or keeps a stack frame. Needs numba-cuda and the compiler
wheels that come with it; ``--sass`` counts instructions and needs nvidia-cuda-nvdisasm too. PTX is assembled by
nvJitLink, the linker that numba-cuda itself uses on a GPU.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from cuda.bindings import nvjitlink
from numba import cuda

import gpumon.kernels.cuda.categories
import gpumon.kernels.cuda.numbers
import gpumon.kernels.cuda.pairs
import gpumon.kernels.cuda.predictions  # noqa: F401 (importing a module registers its kernels)
from gpumon.kernels.cuda.toolchain import ARCHITECTURES, KERNELS, THREADS, Kernel

INTERESTING = (
    "ATOMS.POPC.INC",
    "ATOMS.ADD",
    "ATOMS.MAX",
    "ATOMS.CAS",
    "LDG.E.128",
    "LDL",
    "STL",
    "DFMA",
    "DADD",
)


def ptx_of(kernel: Kernel, capability: tuple[int, int]) -> str:
    return cuda.compile(
        kernel.function, kernel.signature, cc=capability, device=False, abi="numba", output="ptx",
        launch_bounds=(THREADS, kernel.blocks),
    )[0]  # fmt: skip


def assembled(ptx: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """The cubin, and what the assembler says of it."""
    options = [f"-arch=sm_{capability[0]}{capability[1]}", "-O3", "-verbose", "-Xptxas=-v"]
    link = nvjitlink.create(len(options), options)
    try:
        source = ptx.encode()
        nvjitlink.add_data(link, nvjitlink.InputType.PTX, source, len(source), "kernel")
        nvjitlink.complete(link)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(link))
        nvjitlink.get_linked_cubin(link, cubin)
        log = bytearray(nvjitlink.get_info_log_size(link))
        nvjitlink.get_info_log(link, log)
    finally:
        nvjitlink.destroy(link)
    return bytes(cubin), log.decode(errors="replace")


def resources(log: str) -> dict[str, int]:
    frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    used = re.search(r"Used (\d+) registers", log)
    if frame is None or used is None:
        raise RuntimeError(f"the assembler's report has changed: {log[:300]}")
    shared = re.search(r"(\d+) bytes smem", log)
    stack, stores, loads = map(int, frame.groups())
    return {
        "registers": int(used[1]), "shared": int(shared[1]) if shared else 0,
        "stack": stack, "spilled": stores + loads,
    }  # fmt: skip


def instructions(cubin: bytes) -> str:
    spec = find_spec("nvidia")
    folders = list(spec.submodule_search_locations or []) if spec else []
    tools = [tool for folder in folders for tool in Path(folder).glob("*/bin/nvdisasm")]
    if not tools:
        raise SystemExit("--sass needs the wheel nvidia-cuda-nvdisasm")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([tools[0], "-c", file.name], capture_output=True, text=True, check=True).stdout
    found = [f"{name}×{n}" for name in INTERESTING if (n := len(re.findall(rf"\b{re.escape(name)}", text)))]
    return " ".join(
        [*found, f"{len(re.findall(r'^ +/[*][0-9a-f]{4,}[*]/', text, re.MULTILINE))} instructions"]
    )


def row(name: str, capability: tuple[int, int], *, sass: bool) -> tuple[bool, str]:
    """Whether a kernel is well for an architecture, and its row of the table."""
    kernel = KERNELS[name]
    what = f"{name:<18} sm_{capability[0]}{capability[1]:<3}"
    try:
        cubin, log = assembled(ptx_of(kernel, capability), capability)
        found = resources(log)
    except Exception as error:
        return False, f"{what} FAILED: {' '.join(str(error).split())[:2000]}"
    good = not found["stack"] and not found["spilled"]
    text = "".join(f" {found[key]:>9}" for key in ("registers", "shared", "stack", "spilled"))
    return good, f"{what}{text} {'' if good else 'BAD '}{instructions(cubin) if sass else ''}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sass", action="store_true", help="count instructions")
    parser.add_argument("--only", default="", help="kernels whose name holds this")
    arguments = parser.parse_args()
    start = time.perf_counter()
    print(f"{'kernel':<18} {'for':<6} {'registers':>9} {'shared':>9} {'stack':>9} {'spilled':>9}")
    names = [name for name in sorted(KERNELS) if arguments.only in name]
    work = [(name, capability) for name in names for capability in ARCHITECTURES]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        rows = [pool.submit(row, *each, sass=arguments.sass) for each in work]
        bad = 0
        for made in rows:
            good, text = made.result()
            bad += not good
            print(text, flush=True)
    print(
        f"{len(names)} kernels for {len(ARCHITECTURES)} architectures in {time.perf_counter() - start:.0f} s: "
        f"{f'{bad} are bad' if bad else 'none spills or keeps a stack frame'}"
    )
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
