#!/usr/bin/env bash
# The full budgets, on one GPU: stages of under ten minutes that add up.
#
#   benchmarks/gpu_suite.sh check     a small budget of the three main methods: does it run, how fast?
#   benchmarks/gpu_suite.sh rooms     the default recipe, EncDiff and beta-VAE on rooms at 64 px, three seeds
#   benchmarks/gpu_suite.sh rest      parts of the default alone and the other methods, likewise
#
# Each call works for at most $CLDIS_GPU_SUITE_MINUTES (9) minutes, saves, and can be repeated until
# it says that every cell is done; finished cells are never run again. It needs no network and no
# installed package: Python with torch, and a folder .whl from benchmarks/gpu_wheels.sh for what that
# Python lacks. The images are mixed on the GPU, so there is no data to bring.
#
# What comes out lies in $OUT (default runs/gpu_suite/out): results.tar.gz with one JSON per cell
# (scores, images/s, MFU, the most memory) and the log, and the page and picture of the stage. To go
# on after a machine was given back, unpack the archive into runs/gpu_suite/ first, or bring it as
# .gpu/results.tar.gz. Trainings that were cut off are kept in runs/gpu_suite/runs on that machine.
#
# Environment: PYTHON (python3), OUT, CLDIS_GPU_SUITE_MINUTES, CLDIS_GPU_SUITE_IMAGES (another budget;
# a tiny one tests the script on a CPU), CLDIS_GPU_SUITE_ONLY (part of cell names),
# CLDIS_GPU_SUITE_WORKERS (3: small networks leave most of a GPU idle, so several cells share it).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
case "${1:-}" in
  check) suite=gpu_rooms images="${CLDIS_GPU_SUITE_IMAGES:-12800}" only="${CLDIS_GPU_SUITE_ONLY:-s0}" ;;
  rooms | rest) suite="gpu_$1" images="${CLDIS_GPU_SUITE_IMAGES:-}" only="${CLDIS_GPU_SUITE_ONLY:-}" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
python="${PYTHON:-python3}"
workers="${CLDIS_GPU_SUITE_WORKERS:-3}"
work="$PWD/runs/gpu_suite"
out="${OUT:-$work/out}"
mkdir -p "$work/results" "$out"

export PYTHONPATH="$PWD/src" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
export CLDIS_CACHE="$work/cache" TORCHINDUCTOR_CACHE_DIR="$work/compiled"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}"
if compgen -G '.whl/*.whl' >/dev/null; then
  if [ ! -e "$work/site/.done" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade \
      --target "$work/site" .whl/*.whl && touch "$work/site/.done" || exit 1
  fi
  export PYTHONPATH="$PYTHONPATH:$work/site"
fi
if [ -e .whl/revision ] && [ ! -e .git ]; then
  CLDIS_REVISION=$(cat .whl/revision)
  export CLDIS_REVISION
fi
if [ -e .gpu/results.tar.gz ]; then
  tar -xzf .gpu/results.tar.gz -C "$work" --skip-old-files || exit 1
fi
folder="$work/results"
[ "$1" = check ] && folder="$work/check"

bench() { "$python" -m cldis bench "$suite" --results "$folder" "$@"; }
bench_work() {
  bench --runs "$work/runs" --minutes "${CLDIS_GPU_SUITE_MINUTES:-9}" \
    ${images:+--images "$images"} ${only:+--only "$only"}
}

"$python" -c 'import sys, torch
print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
sys.exit(not torch.cuda.is_available())'
if [ $? -eq 0 ]; then
  export TORCHDYNAMO_SUPPRESS_ERRORS=1 # a network that does not compile runs as it is
else
  export TORCHDYNAMO_DISABLE=1 # on a CPU, compiling takes longer than the budgets of a test
fi
started=$SECONDS
pids=() worst=0
for ((i = 0; i < workers; i++)); do
  (bench_work 2>&1 | sed -u "s/^/[$i] /" | tee -a "$work/$1.log") & # its pipefail gives the status
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid"
  code=$?
  # 130: the time was up and everything is saved.
  if [ "$code" -ne 0 ] && [ "$code" -ne 130 ]; then worst=$code; fi
done
bench --list ${images:+--images "$images"} ${only:+--only "$only"} --runs "$work/runs" | tee "$work/$1.list"
bench --table && cp "$folder/$suite.md" "$folder/$suite"-*.png "$out/"
(cd "$work" && tar -czf "$out/results.tar.gz" ./results $(ls -d ./check ./*.log ./*.list 2>/dev/null)) || worst=1
echo "$1: $((SECONDS - started)) s, exit $worst; results in $out"
exit "$worst"
