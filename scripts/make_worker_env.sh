#!/usr/bin/env bash
# Makes a worker environment: a Python of its own for a runtime that cannot live beside another.
# Usage: make_worker_env.sh NAME PACKAGES...        as in: make_worker_env.sh openvino openvino
# It lies in $AUDITOR_WORKERS/NAME where that is set, else in .venv-NAME of this checkout, and its
# interpreter is the last line of the output: write it into a target as `interpreter:`. What the
# auditor's child needs beside the runtime (numpy, onnx) is installed with it.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-}
if [[ -z $name || $# -lt 2 || $name == bench || ! $name =~ ^[a-z0-9][a-z0-9-]*$ ]]; then
  echo "Usage: make_worker_env.sh NAME PACKAGES..., as in: make_worker_env.sh openvino openvino" >&2
  exit 2
fi
shift
packages=("numpy>=2.0" "onnx>=1.17" "$@")
folder=${AUDITOR_WORKERS:+$AUDITOR_WORKERS/$name}
folder=${folder:-$PWD/.venv-$name}
scripts/make_packages_env.sh "$folder" "${PYTHON:-python3.11}" "${packages[@]}"
echo "$folder/bin/python"
