# Sourced by `up`: the registry of the cluster, and the images that are pushed there.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_image=docker.io/library/registry:2.8.3@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373

start_registry() {
  if has_registry; then
    docker start "$registry"
  else
    docker run --detach --restart unless-stopped --publish "127.0.0.1:${address#*:}:5000" --name "$registry" "$registry_image"
  fi
}

# Its address is the laptop's, which to a node is the node's own: containerd is told where it is.
connect_registry() {
  local node folder=/etc/containerd/certs.d/$address
  if [[ $(docker container inspect --format '{{json .NetworkSettings.Networks.kind}}' "$registry") == null ]]; then
    docker network connect kind "$registry"
  fi
  for node in $("$kind" get nodes --name "$cluster"); do
    docker exec "$node" mkdir -p "$folder"
    echo "[host.\"http://$registry:5000\"]" | docker exec --interactive "$node" cp /dev/stdin "$folder/hosts.toml"
  done
  kube apply --filename "$root/infra/kind/registry.yaml"
}

build() { # NAME
  docker build --file "$root/infra/docker/$1.Dockerfile" --tag "$address/millrace-$1:kind" "$root"
}

push() {
  local name
  for name in api inference training; do
    docker push "$address/millrace-$name:kind"
  done
}

# The image by the digest of its push: Knative and the nodes then ask nobody what a tag means.
pushed() { # NAME
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$address/millrace-$1:kind" |
    grep -m 1 "^$address/millrace-$1@sha256:"
}
