# Sourced where containers are built or run: all of them are in a store of our own in the cache folder, away from those of
# this machine, so that nothing of anybody else's is touched.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../../infra/setup/lib.sh"

store=$cache/containers
mkdir -p "$store"
export CONTAINERS_STORAGE_CONF=$store/storage.conf CONTAINERS_CONF=$store/containers.conf
cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "vfs"
graphroot = "$store/images"
runroot = "$store/run"
CONF
# Without systemd and inside another container, crun and systemd's control groups fail. The network is the one of whoever
# calls, which is one of its own where containers run (tests/containers/run).
cat >"$CONTAINERS_CONF" <<CONF
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
tmp_dir = "$store/run/engine"
CONF

# image NAME FOLDER ARGUMENT…: builds an image; the arguments go to buildah.
image() {
  local name=$1 context=$2
  shift 2
  buildah build --quiet --isolation chroot --layers=false --tag "localhost/$name" "$@" "$context"
}
