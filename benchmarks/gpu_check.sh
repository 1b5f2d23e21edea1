#!/usr/bin/env bash
# All that a machine with an NVIDIA GPU can prove: the tests on the device, compute-sanitizer on the kernels, the
# benchmark. Each part goes on where another fails; the last lines say which did.
#     benchmarks/gpu_check.sh [FOLDER FOR RESULTS]         PYTHON=python3 by default
# Needs CuPy and numba-cuda; pytest and hypothesis for the tests; what needs pyarrow or cuDF is left out without them.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR:-/tmp/gpumon-numba}
unset NUMBA_ENABLE_CUDASIM
mkdir -p "$out"
summary=()
failed=0

part() { # NAME SECONDS COMMAND …
  local name=$1 most=$2 start=$SECONDS
  shift 2
  printf '\n== %s\n' "$name"
  timeout "$most" "$@" 2>&1 | tee "$out/gpu-${name// /-}.log"
  local code=${PIPESTATUS[0]}
  [ "$code" -eq 0 ] || failed=1
  summary+=("$(printf '%-24s exit code %3d after %4d s' "$name" "$code" $((SECONDS - start)))")
}

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | tail -n 1)
part doctor 60 "$python" -m gpumon doctor
part "tests on the device" 900 "$python" -m pytest -q -p no:cacheprovider tests/kernels tests/engines/test_gpu.py
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    # numba-cuda asks the driver for functions that only newer ones have: such errors of the API are none of ours
    part "$tool" 600 "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 9 "$python" \
      benchmarks/gpu.py --rows 300000 --check --only "one column" "many columns" "other kernels" predictions
  done
else
  summary+=("compute-sanitizer        is not installed: memcheck and racecheck were left out")
fi
part benchmark 1200 "$python" benchmarks/gpu.py --json "$out/gpu-$(hostname).json"

printf '\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
