#!/usr/bin/env bash
# Fetches what a bare machine with torch lacks, so that benchmarks/gpu_suite.sh can install it there
# without a network. Run it where pip works, then take the folder .whl along with the checkout:
#
#   benchmarks/gpu_wheels.sh             for Python 3.12 on x86-64 Linux
#   benchmarks/gpu_wheels.sh 3.11        for another Python
#
# The folder takes about 10 MB. Dependencies are named one by one (--no-deps), because torch and
# NumPy must stay those of the machine. Needed there and not fetched: torch, numpy, scipy,
# scikit-learn, pillow, safetensors, accelerate, huggingface_hub, matplotlib, tqdm.
set -euo pipefail
cd "$(dirname "$0")/.."
version="${1:-3.12}"
python="${PYTHON:-python3}"

# pydantic needs exactly the pydantic-core that it names.
pydantic=2.14.3
core=2.50.4
rm -rf .whl
"$python" -m pip download --quiet --no-deps --only-binary=:all: --dest .whl \
  --python-version "$version" --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
  --platform manylinux2014_x86_64 --platform any \
  "pydantic==$pydantic" "pydantic-core==$core" annotated-types typing-inspection \
  typing-extensions diffusers importlib-metadata zipp
# What travels may lack .git: results still name the revision they come from.
git describe --always --dirty=+ >.whl/revision
ls -l .whl
