# Sourced by the scripts beside it: the names of the cluster and its registry, and how their tools are called.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"

cluster=millrace
kind=$cache/kind/kind
token_file=$cache/kind/token
knative=$cache/knative
registry=millrace-registry
# Where it is on this machine, and so what its images are called.
address=localhost:5001
# Read by the scripts that source this one.
export token_file knative address

kube() { kubectl --context "kind-$cluster" "$@"; }
in_cluster() { kube --namespace millrace "$@"; }

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
has_registry() { docker container inspect "$registry" >/dev/null 2>&1; }
