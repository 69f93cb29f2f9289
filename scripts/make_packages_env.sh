#!/usr/bin/env bash
# Makes an environment that holds given packages and not this project, where there is none yet.
# Usage: make_packages_env.sh FOLDER INTERPRETER PACKAGES...
# A stamp says what it holds, so that a second call does nothing; two that ask at once wait.
set -euo pipefail

folder=$1
interpreter=$2
shift 2
stamp=$folder/.stamp
wanted="$*"

mkdir -p "$folder"
echo '*' > "$folder/.gitignore"
exec 9> "$folder/.lock"
flock 9

if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
  [[ -x $folder/bin/python ]] || "$interpreter" -m venv "$folder"
  echo "Installing $wanted into $folder" >&2
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  echo "$wanted" > "$stamp"
fi
