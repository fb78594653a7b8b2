# Kubernetes Audio Converter. `make` alone lists what there is.

export CARGO_TARGET_DIR ?= $(CURDIR)/target
programs := $(CARGO_TARGET_DIR)/release
export VIDEO OUT

.DEFAULT_GOAL := help
.PHONY: help run serve cluster cluster-down secrets manifests pods images push build test bench soak fuzz fmt lint deny

##@ Start here

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Convert a video, everything included: VIDEO=film.mp4 OUT=film.mp3 (both optional, YES=1 replaces)
	@if [ -n "$$VIDEO" ]; then set -- "$$VIDEO"; else : "$${OUT:=target/tone.mp3}"; fi; \
	exec "$(programs)/audio-converter" try $(if $(YES),-y) $(if $(VIDEO)$(OUT),,-y) $${OUT:+-o "$$OUT"} -- "$$@"

serve: build ## Stay up on 127.0.0.1:8080, with data in ./data
	@exec "$(programs)/audio-converter" serve

##@ Kubernetes

cluster: ## Bring up RabbitMQ, MongoDB, MariaDB, Kubernetes and the services against them
	@scripts/cluster up

cluster-down: ## End what `make cluster` has started
	@scripts/cluster down

secrets: ## Make the passwords that `kubectl apply -k manifests/overlays/minikube` takes
	@scripts/secrets

manifests: ## Render every overlay, and look at it as a reviewer would
	@scripts/manifests

pods: ## Run everything as pods on a local Kubernetes, convert a video, and take it down
	@tests/cluster/install pods
	@tests/pods

##@ Images

images: ## Build the container images, with docker, podman or buildah (TAG=1.2 REGISTRY=registry.example.org)
	@scripts/images build

push: ## Build the images and push them: REGISTRY=registry.example.org TAG=1.2
	@scripts/images push

##@ Development

build: ## Build every program, into target/release
	@scripts/packages
	@PKG_CONFIG_PATH="$$(converter-job/ffmpeg/build)" cargo build --release --workspace --bins

test: ## Install what tests need, and run them all
	@scripts/test

soak: ## Repeat the integration tests, and fuzz: MINUTES=30
	@SOAK_MINUTES=$(or $(MINUTES),30) scripts/test

fuzz: ## Fuzz what reads others' bytes, each property in turn: MINUTES=5 for each, ONLY=name
	@scripts/fuzz $(ONLY)

mutants: ## Change the deciders in one place after the other, and tell what no test notices: RE=pattern
	@scripts/mutants $(if $(RE),--re '$(RE)')

bench: build ## Measure against peers: ONLY=name for one of them, ONLY=cluster for those of the cluster
	@benches/run $(ONLY)

fmt: ## Format the code
	cargo fmt --all

lint: ## Formatting, clippy and documentation, as CI does
	cargo fmt --all --check
	PKG_CONFIG_PATH="$$(converter-job/ffmpeg/build)" cargo clippy --workspace --all-targets -- -D warnings
	PKG_CONFIG_PATH="$$(converter-job/ffmpeg/build)" RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

deny: ## Licences, sources and banned crates; unused dependencies
	@scripts/deny
