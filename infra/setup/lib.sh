# Sourced by the scripts beside it: the cache folder, and steps that say in one line what they did and
# how long it took.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${MILLRACE_CACHE:-$HOME/.cache/millrace}
# Read by the scripts that source this one.
export root cache
# Where rustup puts cargo, though this shell may have started before it did; and our own Node.
export PATH="$HOME/.cargo/bin:$PATH"
if [[ -d $cache/node/bin ]]; then
  PATH=$cache/node/bin:$PATH
fi
mkdir -p "$cache"

begin() { printf '  %-36s ' "$1"; }
say() { begin "$1" && echo "$2"; }

# step NAME COMMAND…: runs the command, whose output is shown only where it fails.
step() {
  local name=$1 start=$SECONDS log status
  shift
  log=$(mktemp)
  begin "$name"
  # Not in a condition, where bash would let a function go on past its first error.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [[ $status != 0 ]]; then
    echo "failed after $((SECONDS - start)) s:"
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
  echo "$((SECONDS - start)) s"
}

already() { say "$1" "already there"; }

# The digest of what is read from standard input.
digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }
