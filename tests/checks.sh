# Sourced by the scripts beside it: checks that are counted, each as one test.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../infra/setup/lib.sh"

passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check NAME COMMAND…: one check, whose output is shown only where it fails.
check() {
  local name=$1 start=$SECONDS status
  shift
  begin "$name"
  # Not in a condition, where bash would let a function go on past its first error.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [[ $status == 0 ]]; then
    passed=$((passed + 1))
    echo "$((SECONDS - start)) s"
  else
    failed=$((failed + 1))
    echo "FAILED after $((SECONDS - start)) s:"
    cat "$log"
  fi
}

# The last line of a script: how many there were. Its status says whether all passed.
count() {
  echo "$passed passed, $failed failed"
  [[ $failed == 0 ]]
}
