#!/usr/bin/env bash
# Makes a virtual environment, where there is none, and installs this project into it, or a list.
# Usage: make_venv.sh FOLDER (REQUIREMENT | LIST.txt) INTERPRETER
set -euo pipefail

folder=$1
requirement=$2
wanted=$3

new_enough() {
  "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

interpreter() {
  local candidate
  for candidate in "$wanted" python3; do
    if new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "There is no Python 3.11 or newer: neither $wanted nor python3 is one." >&2
  echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
  return 1
}

if [[ ! -x $folder/bin/python ]]; then
  found=$(interpreter)
  echo "Making $folder with $("$found" --version)" >&2
  "$found" -m venv "$folder"
  echo '*' > "$folder/.gitignore"
fi
echo "Installing $requirement into $folder (some minutes the first time)" >&2
kind=--editable
[[ $requirement == *.txt ]] && kind=--requirement
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$kind" "$requirement"
