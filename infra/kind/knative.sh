# Sourced by `up`: Knative, in the order that its releases are to be installed in.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

definitions() { # FILE
  kube apply --filename "$knative/$1.yaml"
  kube wait --for condition=Established --timeout 120s --filename "$knative/$1.yaml"
}

available() { # NAMESPACE
  kube --namespace "$1" wait --for condition=Available --timeout 600s deployment --all
}

# Its webhook looks at all that comes later.
start_serving() {
  definitions serving-crds
  kube apply --filename "$knative/serving-core.yaml"
  available knative-serving
}

start_kourier() {
  kube apply --filename "$knative/kourier.yaml"
  kube --namespace knative-serving patch configmap config-network --type merge \
    --patch '{"data":{"ingress-class":"kourier.ingress.networking.knative.dev"}}'
  available knative-serving
  available kourier-system
}

start_eventing() {
  definitions eventing-crds
  kube apply --filename "$knative/eventing-core.yaml"
  available knative-eventing
}

# The dispatcher has no pods before there is a source.
start_source() {
  kube apply --filename "$knative/kafka-controller.yaml"
  kube apply --filename "$knative/kafka-source.yaml"
  available knative-eventing
}
