# The commands of daily work; `make` alone lists them. Each can be run again: nothing is fetched or built twice.

# cpu, cuda or auto: the LibTorch that download_libtorch.sh installs where none is there.
FLAVOUR ?= auto
CARGO ?= cargo
CARGO_TARGET_DIR ?= target
EBM := $(CARGO_TARGET_DIR)/release/ebm
PEERS_PYTHON := benches/peers/.venv/bin/python
# Options of the comparisons.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench build data libtorch doc reference book clean peers bench-peers bench-mixing bench-quality bench-precision

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 23

libtorch: ## LibTorch into ./libtorch (FLAVOUR=cpu|cuda|auto), unless LIBTORCH names one
	@./download_libtorch.sh "$(FLAVOUR)"

data: ## MNIST, Fashion-MNIST and CIFAR-10 into ./data
	@./download_data.sh mnist fashion-mnist cifar10

build: libtorch ## the program, target/release/ebm
	$(CARGO) build --release

demo: build ## train on MNIST from start to samples, curves and scores; goes on where it stopped
	@./download_data.sh mnist fashion-mnist
	@if [ -d runs/mnist ]; then set -- --resume; else set --; fi; \
	set -x; "$(EBM)" train experiments/mnist.yaml "$$@"

# Torch's random generator is global to a process: a process a test, or one test at a time.
test: libtorch ## everything that the tests need, then the tests
	@./download_data.sh mnist fashion-mnist
	@if $(CARGO) nextest --version >/dev/null 2>&1; then set -x; \
		$(CARGO) nextest run --release && $(CARGO) test --release --doc; \
	else set -x; \
		$(CARGO) test --release -- --test-threads=1; \
	fi

check: build ## format, lints and docs with warnings denied; every model and experiment file
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps
	@for file in models/*.yaml experiments/*.yaml; do \
		echo "$(EBM) check $$file --file-only"; "$(EBM)" check "$$file" --file-only >/dev/null || exit 1; \
	done

bench: libtorch ## throughput, share of the GEMM rate and memory; the bias of sampled variances; coverage of log Z (fifteen minutes)
	$(CARGO) bench --bench throughput
	$(CARGO) bench --bench gaussian
	$(CARGO) bench --bench coverage

peers: ## the Python environment of the comparisons, benches/peers/.venv (3 GB are fetched)
	@benches/peers/environment.sh

bench-peers: libtorch peers ## the same work by the peers, in alternation (options in ARGS="..."; ARGS=--help)
	CARGO="$(CARGO)" $(PEERS_PYTHON) benches/peers/compare.py $(ARGS)

bench-mixing: libtorch ## effective samples per gradient of nuts and hmc, and the same of blackjax
	@[ -x benches/mixing/.venv/bin/python ] || python3 -m venv benches/mixing/.venv
	@benches/mixing/.venv/bin/pip install --quiet --disable-pip-version-check -r benches/mixing/requirements.txt
	$(CARGO) bench --bench mixing
	benches/mixing/.venv/bin/python benches/mixing/peer.py

bench-quality: build peers ## seconds of training until samples are how good, ours and ebmkit (ARGS="--minutes 5")
	@./download_data.sh mnist
	EBM="$(EBM)" $(PEERS_PYTHON) benches/quality/time_to_quality.py $(ARGS)

bench-precision: build peers ## what bf16 chains cost in quality, five seeds each (ARGS="--seeds 2")
	@./download_data.sh mnist fashion-mnist
	EBM="$(EBM)" $(PEERS_PYTHON) benches/quality/precision.py $(ARGS)

doc: libtorch ## the library's documentation, in target/doc
	$(CARGO) doc --release --no-deps

reference: build ## the generated part of docs/: pages of keys, kernels, objectives, commands; JSON Schemas
	"$(EBM)" reference docs

book: ## docs/ as a site, in target/book (needs mdbook)
	@command -v mdbook >/dev/null || { echo "make book needs mdbook: cargo install mdbook --locked" >&2; exit 1; }
	mdbook build docs

clean: ## what was built; LibTorch, data and runs stay
	$(CARGO) clean
