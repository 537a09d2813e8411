# `make` lists what can be made. Each target does its own set-up.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# Where cargo puts its work.
BUILD := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test fmt check-format lint fuzz floods ha-lab ha-sim bench bench-proxy bench-xdp bench-dsr bpf

help: ## list these targets
	@awk -F ': ## ' '/^[a-z-]+: ## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, then run three little servers behind a proxy on 127.0.0.1:8080; Ctrl-C ends it
	@cargo build --release
	@exec $(BUILD)/release/tsuji demo

# The runner comes last, so that its summary is the last thing to be read.
test: ## install what tests need, check the format, lint, run every test
	@tests/setup/packages.sh
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --quiet --doc
	@if cargo nextest --version >/dev/null 2>&1; then exec cargo nextest run; else exec cargo test --tests; fi

fmt: ## format the sources
	cargo fmt

check-format: ## say what is not formatted
	cargo fmt --check

lint: ## clippy on everything, warnings are errors
	cargo clippy --all-targets -- -D warnings

fuzz: ## look for inputs that break a parser (needs nightly and cargo-fuzz); TARGET=requests: one; SECONDS=600 for each, else 60
	@tests/setup/fuzz.sh $(or $(SECONDS),60) $(TARGET)

floods: export FLOODS := whole
floods: ## attacks in their whole size on the program as it is released, some minutes; ATTACK=heads: those; prints growth, latency of others, counters
	cargo test --release --test process floods -- --nocapture

ha-lab: export PATH := $(PATH):/usr/sbin
ha-lab: ## two dispatchers in network namespaces and every fault 20 times, as root, some minutes; TIMES=5: five times; FAULT=Kill: that one
	@tests/setup/packages.sh
	TIMES=$(or $(TIMES),20) cargo test --release --test netns ha_lab -- --ignored --nocapture

ha-sim: export HA_SEEDS := 1000
ha-sim: export HA_MINUTES := 1440
ha-sim: ## the pair in simulated time: a thousand seeds of a day each, some hours; HA_FIRST_SEED=N goes on from there
	cargo test --release --test pair -- --nocapture

bench: ## measure; BENCH=decide measures one
	cargo bench $(if $(BENCH),--bench $(BENCH),--benches) -- --noplot

# Debian keeps both peers where only root's PATH looks.
bench-proxy: export PATH := $(PATH):/usr/sbin
bench-proxy: ## Tsuji beside HAProxy and nginx, a quarter of an hour; QUICK=1: a minute; ARGS="--cells list" and more
	@tests/setup/packages.sh bench haproxy:haproxy nginx:nginx wrk:wrk strace:strace h2load:nghttp2-client
	cargo bench --bench proxy -- $(if $(QUICK),--quick,--publish) $(ARGS)

bpf: ## compile the XDP program (needs clang-19 and llvm-19); its object is committed
	@tests/setup/packages.sh bpf clang-19:clang-19 llvm-strip-19:llvm-19
	@tests/setup/bpf.sh

bench-xdp: ## ns per packet of the XDP program, as root, beside a bare MAC swap; ARGS="--quick" and more
	cargo bench --bench xdp -- --measure $(ARGS)

bench-dsr: export PATH := $(PATH):/usr/sbin
bench-dsr: ## HTTP through MAC forwarding beside HTTP without, as root, some minutes; ARGS="--quick": a minute
	@tests/setup/packages.sh bench nginx:nginx wrk:wrk ip:iproute2 ethtool:ethtool
	cargo bench --bench dsr -- --measure $(ARGS)
