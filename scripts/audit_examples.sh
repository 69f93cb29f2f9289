#!/usr/bin/env bash
# Audits every example at budget smoke, one after the other, and says where the reports are.
# A verdict is no failure of this script, whatever it is; an audit that reaches none is.
# Keys, store and ledger lie in examples/.home, unless AUDITOR_HOME names another folder: the user's
# own ledger can only be added to, and is not for examples.
# Usage: audit_examples.sh AUDITOR
set -uo pipefail

auditor=$1
export AUDITOR_HOME=${AUDITOR_HOME:-$PWD/examples/.home}
failed=0
reports=()

for file in examples/*/audit.yaml; do
  folder=$(dirname "$file")
  echo "== $folder"
  "$auditor" audit "$file" --budget smoke --out "$folder/report"
  status=$?
  case $status in
    0) verdict="passed" ;;
    1) verdict="failed" ;;
    3) verdict="inconclusive" ;;
    *) verdict="no verdict (exit code $status)"; failed=$status ;;
  esac
  reports+=("$folder: $verdict: $folder/report/report.html")
done

echo
printf '%s\n' "${reports[@]}"
exit "$failed"
