#!/usr/bin/env bash
# two_jobs.sh COMMAND TARGET [HEAD]: plans in one job, applies in another; the plan travels as a job's output.
set -euo pipefail
here="$(dirname "${BASH_SOURCE[0]}")"
understudy="$RUNNER_TEMP/understudy/bin/understudy"
file="$RUNNER_TEMP/understudy-plan.json"
case "$MODE" in
plan)
  bash "$here/model.sh"
  "$understudy" github "$1" "$2" --plan "$file"
  # Base64, because a runner drops an output in which it believes to see a secret; a job's outputs hold 1 MB.
  echo "plan=$(gzip --stdout --no-name "$file" | base64 --wrap=0)" >>"$GITHUB_OUTPUT"
  ;;
apply)
  printf '%s' "$PLAN" | base64 --decode | gunzip --stdout >"$file"
  "$understudy" github apply "$file" ${3:+--head "$3"}
  ;;
*)
  echo "mode is plan or apply, not '$MODE'" >&2
  exit 2
  ;;
esac
