# Sourced by the scripts beside it: the cluster's name, and how its tools are called.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"

cluster=millrace
kind=$cache/kind/kind
token_file=$cache/kind/token
# Read by the scripts that source this one.
export token_file

in_cluster() { kubectl --context "kind-$cluster" --namespace millrace "$@"; }

# try NAME HELP COMMAND…: a step; where it fails, HELP is what to do about it.
try() {
  local name=$1 help=$2 status
  shift 2
  # The step ends the shell where it fails, so it is given one of its own; and not in a condition, as it says itself.
  set +e
  (
    set -e
    step "$name" "$@"
  )
  status=$?
  set -e
  if [[ $status != 0 ]]; then
    echo "What to do: $help" >&2
    exit 1
  fi
}

has_cluster() { "$kind" get clusters 2>/dev/null | grep -qx "$cluster"; }
