#!/usr/bin/env bash
# Makes the environment of a real model server that tests talk to, where there is none yet.
# Usage: make_server_env.sh mlserver|kserve [INTERPRETER]
# It lies in $AUDITOR_SERVERS/NAME where that is set, else in .venv-NAME of this checkout (about
# 500 MB and a minute each), and its path is the last line of the output.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-}
case $name in
  mlserver) packages=(mlserver==1.7.1 onnxruntime==1.32.0) ;;
  kserve) packages=(kserve==0.21.0 onnxruntime==1.32.0) ;;
  *)
    echo "There is no server ${name@Q}; name mlserver or kserve." >&2
    exit 2
    ;;
esac
folder=${AUDITOR_SERVERS:+$AUDITOR_SERVERS/$name}
folder=${folder:-$PWD/.venv-$name}
scripts/make_packages_env.sh "$folder" "${2:-python3.11}" "${packages[@]}"
echo "$folder"
