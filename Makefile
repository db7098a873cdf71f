# `make demo` and `make test` are all a newcomer needs; both first bring what the machine lacks.

# Rounds of each crash test in `make chaos`; `make test` runs each once.
TICKMESH_CHAOS_ROUNDS ?= 50

# Apps of `make takeover`.
APPS ?= 100000
# Containers of `make capacity`.
CONTAINERS ?= 200

# Orders of `make upgrade`: all there are.
ORDERS ?= 24

# What `make sim` plays; `make test` plays a few thousand.
SEEDS ?= 100000
FIRST_SEED ?= 0

.PHONY: help setup demo test lint bench takeover weigh instructions capacity chaos dist faults matrix output packages page podman sim mutants upgrade measure docs record
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring nats-server into .tools/ and a busybox image to Docker
	@scripts/setup

demo: setup ## run the sample app on a local nats-server and Docker; ends by itself
	@cargo run --bin tickmesh -- demo

test: setup ## run every test, with a real nats-server, real Docker and a real browser
	@scripts/setup-browser
	@scripts/setup-compose
	@scripts/test

lint: ## check format, clippy, documentation links and house rules
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	scripts/tidy

bench: setup ## measure lateness beside its limits (BENCH="burst 1000 cluster" or "swarm 50 5" for one alone; all take 45 minutes)
	cargo build --release -p tickmesh-tests --bin fleet
	cargo run --release -p tickmesh-tests --bin bench -- $(BENCH)

takeover: ## kill the leader of a mesh of many apps, and see how soon a standby leads it (APPS=100000, a minute)
	@$(MAKE) bench BENCH="takeover $(APPS)"

weigh: ## what an app takes of a scheduler's memory and time, without a mesh (APPS=100000)
	cargo run --release -p tickmesh-bench --bin weigh -- $(APPS)

instructions: ## count the instructions of the paths that every run takes (needs valgrind)
	scripts/instructions.py

sim: ## play many histories of faults in the simulator (SEEDS=100000, from FIRST_SEED=0 on)
	TICKMESH_SEEDS=$(SEEDS) TICKMESH_FIRST_SEED=$(FIRST_SEED) cargo test -p tickmesh-tests --test simulation no_history -- --nocapture

mutants: ## break the code on purpose, one break at a time, and see each found (an hour; docs/evidence/mutants.md is the result)
	scripts/mutants.py --write

measure: ## count lines, long functions, short comments, names that stand twice, circles between modules
	scripts/measure.py

matrix: setup ## play each fault of a Docker host for each time, and write docs/evidence/matrix.md (needs root for a second dockerd)
	TICKMESH_MATRIX=$(CURDIR)/docs/evidence/matrix.md cargo test -p tickmesh-tests --test matrix -- --nocapture

capacity: ## run many short containers through one agent, beside the bare engine (CONTAINERS=200, minutes)
	@$(MAKE) bench BENCH="containers $(CONTAINERS)"

faults: setup ## let engines, images and containers fail, and write docs/evidence/faults.md (needs root for a second dockerd)
	TICKMESH_FAULTS=$(CURDIR)/docs/evidence/faults.md cargo test -p tickmesh-tests --test engine_faults -- --nocapture

packages: setup ## install, upgrade and purge the Debian package on a host with systemd and Docker of its own (needs root and debootstrap)
	scripts/test-deb

page: setup ## take pictures of every page in a headless Chromium, to be looked at (needs chromium)
	@scripts/page

dist: ## build a release into dist/: static binary, tarball, container image, parts list, checksums (TARGET=aarch64-unknown-linux-gnu to cross-build)
	scripts/dist $(if $(TARGET),--target $(TARGET))

docs: ## build the documentation as a site in target/site, and check its links (brings mdBook, some minutes)
	@scripts/docs

record: setup ## record the demo anew, as docs/images/demo.svg
	cargo build --bin tickmesh
	@PATH=$(CURDIR)/.tools:$$PATH scripts/record-demo

podman: setup ## run the demo through podman's socket, best effort (needs podman and catatonit)
	scripts/podman

output: setup ## write 1 GiB in one job beside another one, and end a thousand containers at once that wrote something (minutes)
	TICKMESH_OUTPUT_MIB=1024 cargo test -p tickmesh-tests --test output -- --nocapture
	TICKMESH_QUICK_CONTAINERS=1000 cargo test -p tickmesh-agent --test output -- at_once --nocapture

upgrade: setup ## upgrade a mesh from the release before while jobs run, and roll it back, in every order (half an hour; ORDERS=24)
	scripts/upgrade.py --orders $(ORDERS)

chaos: setup ## hit the mesh with every fault many times and write docs/evidence/chaos.md, then the crash tests many rounds (TICKMESH_CHAOS_ROUNDS=50)
	TICKMESH_CHAOS_TABLE=$(CURDIR)/docs/evidence/chaos.md TICKMESH_CHAOS_JSON=$(CURDIR)/target/chaos.json \
		cargo test -p tickmesh-tests --test chaos -- --nocapture
	TICKMESH_CHAOS_ROUNDS=$(TICKMESH_CHAOS_ROUNDS) cargo test -p tickmesh-tests --test crash -- --nocapture
	TICKMESH_RESTORES=20 cargo test -p tickmesh-cli --test cli restored -- --nocapture
