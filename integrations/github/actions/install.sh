#!/usr/bin/env bash
# Installs the understudy that this checkout of the actions belongs to, into a folder that ends with the job.
set -euo pipefail
[ -x "$RUNNER_TEMP/understudy/bin/understudy" ] && exit 0
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
python3 -m venv "$RUNNER_TEMP/understudy"
pip() { "$RUNNER_TEMP/understudy/bin/pip" install --quiet --constraint "$root/constraints.txt" "$@"; }
pip --index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" torch
pip "$root"
