# Everything that one does with a checkout. `make help` lists the targets; the work is done by the scripts
# in infra/setup and by tests/run, which can be run by hand as well.

export PATH := $(HOME)/.cargo/bin:$(PATH)
MILLRACE_CACHE ?= $(HOME)/.cache/millrace
export MILLRACE_CACHE
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
bin = $(CARGO_TARGET_DIR)/debug

# What the set-up has brought, unless the caller names another.
ifeq ($(shell uname -s),Darwin)
MILLRACE_ONNXRUNTIME__LIBRARY ?= $(MILLRACE_CACHE)/onnxruntime/libonnxruntime.1.31.1.dylib
else
MILLRACE_ONNXRUNTIME__LIBRARY ?= $(MILLRACE_CACHE)/onnxruntime/libonnxruntime.so.1.31.1
endif
export MILLRACE_ONNXRUNTIME__LIBRARY

.PHONY: help demo up test test-containers test-kubernetes test-packages test-terraform terraform-reference kind-up kind-demo kind-down lambda edge bench bench-peers bench-large fuzz soak sanitize setup build web sdl operators fmt lint clean distclean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: setup build ## Train a model from one Kafka topic and predict on another
	@$(bin)/digits-demo

up: setup build ## The same without the job: everything runs on this machine until Ctrl-C
	@$(bin)/digits-demo --no-job

test: ## Check everything: format, lints, documentation, tests on a real Kafka
	@infra/setup/run test
	@tests/run

test-containers: setup build ## Build the images, and run the demo's job in them (Linux, as root)
	@infra/setup/tools containers
	@infra/setup/linters
	@infra/setup/containers
	@tests/containers/run

test-kubernetes: setup build ## Check the manifests, the steps of kind, and the platforms on a real API server
	@infra/setup/linters
	@infra/setup/kubernetes-api
	@infra/setup/knative
	@tests/kubernetes/run

test-packages: setup build ## Make the packages of the functions, and run their tests on them (Linux, as root)
	@tests/packages/run $(or $(ARCHITECTURE),x86_64)

lambda: ## Make the functions' zips for AWS Lambda (ARCHITECTURE=aarch64 for Arm), and with them what `make edge` makes
	@infra/package/run $(or $(ARCHITECTURE),x86_64)

edge: lambda ## Make the inference function's archive for a machine of its own

kind-up: ## Start a Kubernetes in Docker with Knative and Kafka, and Millrace on it
	@infra/kind/up

kind-demo: ## Run the demo's job there, on Knative (or PLATFORM=kubernetes)
	@infra/kind/demo $(PLATFORM)

kind-down: ## Remove it
	@infra/kind/down

test-terraform: ## Check what stands in terraform/, without an account
	@tests/terraform/run

terraform-reference: ## Write the pages of Terraform's variables and outputs anew
	@infra/setup/terraform
	@"$(MILLRACE_CACHE)/terraform/venv/bin/python" tests/terraform/reference.py terraform

fuzz: setup ## Feed the record formats with rubbish, a minute each
	@tests/fuzz $${MILLRACE_FUZZ_SECONDS:-60}

soak: setup build ## Kill, restart and swap for ten minutes, and count the answers
	@MILLRACE_SOAK_SECONDS=$${MILLRACE_SOAK_SECONDS:-600} cargo test --locked --workspace --test soak -- --nocapture

sanitize: setup ## Run the engine's and the Kafka client's tests where no byte is touched by mistake
	@tests/sanitize

bench: setup ## Measure, beside the limits of the same run
	@cargo build --locked --release -p millrace-bench -p millrace-inference
	@$(CARGO_TARGET_DIR)/release/millrace-bench

bench-peers: setup ## Measure decoders and training beside Python's
	@tests/bench/peers/install
	@cargo build --locked --release -p millrace-bench -p millrace-training
	@$(CARGO_TARGET_DIR)/release/millrace-bench peers \
	  --torch "$(MILLRACE_CACHE)/peers/torch/bin/python" \
	  --tensorflow "$(MILLRACE_CACHE)/peers/tensorflow-cpu/bin/python" \
	  --decoders "$(MILLRACE_CACHE)/peers/decoders/bin/python"

bench-large: setup ## Measure the memory of a training on 2,000,000 records
	@cargo build --locked --release -p millrace-bench -p millrace-training
	@$(CARGO_TARGET_DIR)/release/millrace-bench large

setup: ## Bring what is needed into the cache folder
	@infra/setup/run

build: setup ## Build the binaries
	@infra/setup/build

web: ## Build the pages that the API serves
	@infra/setup/web

sdl: build ## Write schema/schema.graphql anew from the code
	@$(bin)/millrace schema > schema/schema.graphql.new && mv schema/schema.graphql.new schema/schema.graphql

operators: ## Write docs/operators.md anew from the code
	@MILLRACE_WRITE_DOCS=1 cargo test --locked --quiet -p millrace-onnx --test operators the_table

fmt: ## Format the code
	cargo fmt --all

lint: ## Look for faults that a compiler lets pass
	cargo clippy --locked --workspace --all-targets -- -D warnings

clean: ## Remove what was built; what was downloaded stays
	@cargo clean --quiet
	@rm -rf api/web/node_modules api/web/dist tests/bench/results

distclean: clean ## Remove the cache folder and the data of `make up` as well
	rm -rf "$(MILLRACE_CACHE)" .millrace
