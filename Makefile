# Targets for developers and for .ci/run. `make help` lists them.

CARGO   ?= cargo
NIGHTLY ?= nightly
PREFIX  ?= /usr/local
DESTDIR ?=
# systemd reads units from here if PREFIX is /usr or /usr/local.
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
SYSCONFDIR ?= /etc
FUZZ_S  ?= 300
TARGET  := $(or $(CARGO_TARGET_DIR),target)
# Like memcached, larder refuses to run as root without -u.
AS_USER := $(if $(filter 0,$(shell id -u)),-u nobody)

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: build
build: ## build the release binaries, target/release/larder, larder-bench, larder-top and larder-cli
	$(CARGO) build --release --workspace

.PHONY: run
run: ## serve 64 MiB on port 11211 (as nobody when started by root)
	$(CARGO) run --release -- -m 64 -p 11211 $(AS_USER)

.PHONY: test
test: ## run the unit tests and t/, which use only the loopback interface
	$(CARGO) test --workspace

.PHONY: test-confined
test-confined: ## run the tests that speak to a server against servers with -o drop_privileges
	LARDER_SERVER_FLAGS="-o drop_privileges" scripts/run-tests $(CARGO) test --test t -- text:: transcripts:: commands large logging fuzz tls::sessions tls::renewal

.PHONY: check
check: fmt clippy rustdoc tidy portable ## check formatting, lints, documentation, tidy rules, the oldest Rust and aarch64

.PHONY: fmt clippy rustdoc tidy
fmt:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path t/compat/rust/Cargo.toml --check
clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings
rustdoc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --lib
tidy: ## check the rules of t/tidy.rs, and that the generated pages in doc/ are up to date
	scripts/run-tests $(CARGO) test --test t -- tidy:: docs::

.PHONY: portable
portable: ## check the code with the oldest supported Rust and for aarch64, where rustup has them
	scripts/check-portable

.PHONY: test-kill
ROUNDS ?= 50
test-kill: ## kill servers with a memory file under load, ROUNDS times, and compare every value with its client's log
	LARDER_KILL_ROUNDS=$(ROUNDS) scripts/run-tests $(CARGO) test --release --test t -- restart::kill --nocapture

.PHONY: test-races
RACES ?= 100
test-races: ## set one key on two nodes at the same time, RACES rounds of 2 x 2,000 sets; both must end alike
	LARDER_RACES=$(RACES) scripts/run-tests $(CARGO) test --release --test t -- --nocapture replication::concurrent_sets

.PHONY: test-evictions
test-evictions: ## replicate 160 MB in both directions between a node of 64 MiB and one of 1 GiB, which keeps all
	LARDER_EVICTION_SCALE=16 scripts/run-tests $(CARGO) test --release --test t -- --nocapture a_small_node_evicts

.PHONY: simulate
SEEDS ?= 10000
simulate: ## run SEEDS simulations of replicated nodes under faults (10,000; a minute); SEED=n repeats one of them
	SEEDS=$(SEEDS) CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		scripts/run-tests $(CARGO) test --release --lib --target-dir $(TARGET)/simulate replication::simulator

.PHONY: test-upgrade
test-upgrade: ## upgrade a server with 5 million items ten times under 50 clients; none may wait for more than 250 ms
	LARDER_UPGRADES=10 LARDER_UPGRADE_ITEMS=5000000 LARDER_UPGRADE_STALL_MS=250 \
		scripts/run-tests $(CARGO) test --release --test t -- --nocapture upgrade::load

.PHONY: fuzz
fuzz: ## send random bytes to the parser and to whole connections, FUZZ_S seconds each
	LARDER_FUZZ_S=$(FUZZ_S) scripts/run-tests $(CARGO) test --test t fuzz

# Builds the programs of both packages. Tests of one package start programs of the other.
.PHONY: programs
programs:
	$(CARGO) build

.PHONY: oracle
oracle: programs ## compare larder's replies with memcached's, for transcripts and random commands; run larder-bench on memcached (fetches it)
	scripts/run-tests $(CARGO) test --test oracle -- --nocapture

.PHONY: loom
loom: ## model-check epochs and index over all thread interleavings (two minutes)
	RUSTFLAGS="--cfg loom" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		scripts/run-tests $(CARGO) test --release -p larder --lib --target-dir $(TARGET)/loom loom_

.PHONY: sanitize
sanitize: ## test layers 1 to 5 under AddressSanitizer and ThreadSanitizer (nightly toolchain)
	scripts/sanitize address
	scripts/sanitize thread

.PHONY: miri
miri: ## test items, slabs and epochs under Miri, without the long tests (a minute; needs the nightly component miri)
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks" scripts/run-tests $(CARGO) +$(NIGHTLY) miri test --lib -- \
		sync::epoch memory::slab memory::magazine item::header dropping_a_pending an_item_in_the a_leased_item a_value_without

# Prefixes of table row names, separated by semicolons: make bench ROWS="get pipelined; incr"
ROWS ?=

.PHONY: bench bench-quick bench-memory bench-instructions bench-engine bench-classes \
	bench-growth bench-store bench-replay bench-restart bench-replication
bench: build ## measure the table of doc/measurements/speed.md: larder, memcached and a null server (eight minutes; ROWS=...)
	$(TARGET)/release/larder-bench --table --rows "$(ROWS)"
bench-quick: ROWS = get, 1; get pipelined; 100-key get, 1 M; set, 1; set pipelined 50, room; incr
bench-quick: build ## measure a few rows of the bench table: CPU time per request (a minute)
	$(TARGET)/release/larder-bench --table --rows "$(ROWS)"
bench-instructions: build ## count user-space instructions per request with valgrind
	$(TARGET)/release/larder-bench --table --rows "instructions:"
bench-memory: build ## measure time to the first reply and resident memory of larder and memcached
	$(TARGET)/release/larder-bench --memory
bench-store: ## measure capacity and miss ratio of larder and memcached: all rows of doc/measurements/store.md (75 minutes)
	$(CARGO) bench --bench store -- all
bench-restart: build ## measure restarts with a memory file (-e), beside memcached's (two minutes)
	scripts/bench-restart $(TARGET)/release/larder "$$(scripts/newest-memcached $(TARGET)/memcached)"
bench-replication: build ## measure two nodes with -x: CPU, lag, changes applied, a burst of deletes, a restart (a minute)
	scripts/bench-replication $(TARGET)/release/larder
bench-engine: ## measure parsing and executing a request, without sockets
	$(CARGO) bench --bench engine
bench-classes: ## compute the memory that slab classes waste for known size distributions
	$(CARGO) bench --bench classes -- table
bench-growth: ## measure growth to 20 million items: time per step, and latency of gets during and after it
	$(CARGO) bench --bench growth -- steps run
bench-replay: ## compare miss ratios of the eviction policy with plain and segmented LRU, on traces
	$(CARGO) bench --bench replay

# The output of larder-bench --table --json, whose ratios of CPU time the charts then have.
RUN ?=
.PHONY: charts
charts: ## draw doc/charts/*.svg from doc/charts/figures.json; RUN=run.json takes the CPU times of a bench run first
	scripts/charts $(RUN)

.PHONY: doc
doc: ## generate the pages that are printed from the tables: doc/settings.md, doc/stats.md, doc/metrics.md, doc/larder.1, doc/larder-bench.1, the help, completions of shells
	LARDER_BLESS=1 scripts/run-tests $(CARGO) test --test t docs

.PHONY: compat
compat: build ## test larder with real clients; installs them (apt, pip, npm, cargo)
	t/compat/run.py

.PHONY: test-page
test-page: build ## open the live page of a loaded server in headless Chromium (installs chromium and playwright-core); pictures go to target/page
	mkdir -p $(TARGET)/page
	command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium
	npm install --silent --prefix $(TARGET)/page playwright-core
	NODE_PATH=$(TARGET)/page/node_modules node t/page/run.mjs $(TARGET)/release/larder $(TARGET)/release/larder-bench $(TARGET)/page

BINARIES := $(addprefix $(TARGET)/release/,larder larder-bench larder-top larder-cli)
# Installs existing binaries without a rebuild, because root has no cargo of its own. Builds only missing ones.
$(BINARIES):
	$(MAKE) build

.PHONY: install install-as-memcached
install: $(BINARIES) ## install binaries, man pages, doc/, licence, completions and systemd units under $(DESTDIR)$(PREFIX); run make build first
	install -D -m 755 $(TARGET)/release/larder $(DESTDIR)$(PREFIX)/bin/larder
	install -D -m 755 $(TARGET)/release/larder-bench $(DESTDIR)$(PREFIX)/bin/larder-bench
	install -D -m 755 $(TARGET)/release/larder-top $(DESTDIR)$(PREFIX)/bin/larder-top
	install -D -m 755 $(TARGET)/release/larder-cli $(DESTDIR)$(PREFIX)/bin/larder-cli
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/|$(PREFIX)/|' scripts/larder.service >$(DESTDIR)$(UNITDIR)/larder.service
	chmod 644 $(DESTDIR)$(UNITDIR)/larder.service
	install -D -m 644 scripts/larder.socket $(DESTDIR)$(UNITDIR)/larder.socket
	install -D -m 644 scripts/larder.sysusers $(DESTDIR)$(SYSUSERSDIR)/larder.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/larder.conf || \
		install -D -m 644 scripts/larder.conf $(DESTDIR)$(SYSCONFDIR)/larder.conf
	install -D -m 644 scripts/completions/larder.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/larder
	install -D -m 644 scripts/completions/larder-tools.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/larder-cli
	ln -sf larder-cli $(DESTDIR)$(PREFIX)/share/bash-completion/completions/larder-bench
	ln -sf larder-cli $(DESTDIR)$(PREFIX)/share/bash-completion/completions/larder-top
	install -D -m 644 scripts/completions/_larder-tools $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_larder-tools
	install -D -m 644 scripts/completions/_larder $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_larder
	install -D -m 644 scripts/completions/larder.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/larder.fish
	install -D -m 644 doc/larder.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder.1
	install -D -m 644 doc/larder-top.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder-top.1
	install -D -m 644 doc/larder-cli.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder-cli.1
	install -D -m 644 doc/larder-bench.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder-bench.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/larder doc/*.md doc/*.png doc/alerts.yaml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/larder/measurements doc/measurements/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/larder/charts doc/charts/*.svg doc/charts/figures.json
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/larder/LICENSE

install-as-memcached: install ## install, and add a link named memcached
	ln -sf larder $(DESTDIR)$(PREFIX)/bin/memcached

.PHONY: deb test-deb
# The Debian revision of the package.
REVISION ?= 1
deb: $(BINARIES) ## build target/debian/larder_*.deb with cargo-deb; run make build first
	$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deb
	install -d $(TARGET)/deb
	sed 's|/usr/local/|/usr/|' scripts/larder.service >$(TARGET)/deb/larder.service
	$(CARGO) deb --no-build --strip --deb-revision $(REVISION)
test-deb: ## in a fresh Debian root: install the package, serve, upgrade, remove, purge; and lintian (root; 2 minutes without the builds; fetches Debian packages)
	scripts/test-deb $(TARGET)

.PHONY: image test-image
CONTAINER ?= $(if $(shell command -v podman),podman,docker)
# Podman makes OCI images by default, and they have no health check.
image: ## build the container image larder with podman or docker (pulls the Rust image; CONTAINER=docker)
	BUILDAH_FORMAT=docker $(CONTAINER) build -f scripts/Containerfile -t larder .
test-image: ## run the image with podman: process 1, user, health check, SIGTERM, size (root; needs no registry; 15 seconds and a build)
	scripts/test-image $(TARGET)

.PHONY: clean
clean: ## remove everything that was built or installed under target/
	$(CARGO) clean
