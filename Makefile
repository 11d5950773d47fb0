# What a person runs by hand and what .ci/run runs. `make help` lists it.

CARGO   ?= cargo
NIGHTLY ?= nightly
PREFIX  ?= /usr/local
DESTDIR ?=
# systemd looks here for a PREFIX of /usr and /usr/local.
UNITDIR ?= $(PREFIX)/lib/systemd/system
FUZZ_S  ?= 300
TARGET  := $(or $(CARGO_TARGET_DIR),target)
# memcached's rule, and ours: root says with -u whom to run as.
AS_USER := $(if $(filter 0,$(shell id -u)),-u nobody)

.DEFAULT_GOAL := build

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: build
build: ## the release binaries, target/release/larder and larder-bench
	$(CARGO) build --release

.PHONY: run
run: ## serve 64 MiB on port 11211 (as nobody when started by root)
	$(CARGO) run --release -- -m 64 -p 11211 $(AS_USER)

.PHONY: test
test: ## unit tests and t/, against nothing but this machine's loopback
	$(CARGO) test

.PHONY: check
check: fmt clippy rustdoc tidy ## formatting, lints, documentation, tidy rules

.PHONY: fmt clippy rustdoc tidy
fmt:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path t/compat/rust/Cargo.toml --check
clippy:
	$(CARGO) clippy --all-targets -- -D warnings
rustdoc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --lib
tidy: ## the rules of t/tidy.rs, and that the printed pages in doc/ are fresh
	scripts/run-tests $(CARGO) test --test t -- tidy:: docs::

.PHONY: fuzz
fuzz: ## random bytes for the parser and for whole connections, FUZZ_S seconds each
	LARDER_FUZZ_S=$(FUZZ_S) scripts/run-tests $(CARGO) test --test t fuzz

# The programs of both packages, for tests of one that start the other's.
.PHONY: programs
programs:
	$(CARGO) build

.PHONY: oracle
oracle: programs ## transcripts and random commands, larder's replies beside memcached's (which it fetches); larder-bench on it
	scripts/run-tests $(CARGO) test --test oracle -- --nocapture

.PHONY: loom
loom: ## epochs and index in every order of their threads' steps (two minutes)
	RUSTFLAGS="--cfg loom" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 scripts/run-tests $(CARGO) test --release --lib --target-dir $(TARGET)/loom loom_

.PHONY: sanitize
sanitize: ## layers 1 to 5 under AddressSanitizer and ThreadSanitizer (nightly toolchain)
	scripts/sanitize address
	scripts/sanitize thread

.PHONY: miri
miri: ## items, slabs and epochs under Miri, a minute; needs the nightly component miri (the long tests are left out)
	MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks" scripts/run-tests $(CARGO) +$(NIGHTLY) miri test --lib -- \
		sync::epoch memory::slab memory::magazine item::header dropping_a_pending an_item_in_the a_leased_item a_value_without

# Rows of the table, by how their names begin, with ; between them: make bench ROWS="get pipelined; incr"
ROWS ?=

.PHONY: bench bench-quick bench-memory bench-instructions bench-engine bench-classes bench-growth bench-store bench-replay
bench: build ## the table of doc/measurements/speed.md, larder beside memcached and a server that does nothing (eight minutes; ROWS=...)
	$(TARGET)/release/larder-bench --table --rows "$(ROWS)"
bench-quick: ROWS = get, 1; get pipelined; 100-key get, 1 M; set, 1; set pipelined 50, room; incr
bench-quick: build ## a few of its rows: CPU time per request (a minute)
	$(TARGET)/release/larder-bench --table --rows "$(ROWS)"
bench-instructions: build ## its rows of user-space instructions per request, counted by valgrind
	$(TARGET)/release/larder-bench --table --rows "instructions:"
bench-memory: build ## time to the first reply and resident memory, larder beside memcached
	$(TARGET)/release/larder-bench --memory
bench-store: ## what the store holds and misses, larder beside memcached: every row of doc/measurements/store.md (75 minutes)
	$(CARGO) bench --bench store -- all
bench-engine: ## time of parsing and executing a request, without sockets
	$(CARGO) bench --bench engine
bench-classes: ## what size classes lose, by arithmetic, for known mixes of sizes
	$(CARGO) bench --bench classes -- table
bench-growth: ## how long the steps of growth to 20 million items take, latency of gets meanwhile and afterwards
	$(CARGO) bench --bench growth -- steps run
bench-replay: ## miss ratios of the eviction policy on traces, beside plain and segmented LRU
	$(CARGO) bench --bench replay

.PHONY: doc
doc: ## the pages that are printed from the tables: doc/settings.md, doc/stats.md, doc/larder.1, doc/larder-bench.1, the help
	LARDER_BLESS=1 scripts/run-tests $(CARGO) test --test t docs

.PHONY: compat
compat: build ## real clients against larder; installs them (apt, pip, npm, cargo)
	t/compat/run.py

BINARIES := $(TARGET)/release/larder $(TARGET)/release/larder-bench
# Root has no cargo of its own: what is built is installed as it is, and only what is missing is built.
$(BINARIES):
	$(MAKE) build

.PHONY: install install-as-memcached
install: $(BINARIES) ## after make build: binaries, man pages, doc/, licence, systemd unit under $(DESTDIR)$(PREFIX)
	install -D -m 755 $(TARGET)/release/larder $(DESTDIR)$(PREFIX)/bin/larder
	install -D -m 755 $(TARGET)/release/larder-bench $(DESTDIR)$(PREFIX)/bin/larder-bench
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/|$(PREFIX)/|' scripts/larder.service >$(DESTDIR)$(UNITDIR)/larder.service
	chmod 644 $(DESTDIR)$(UNITDIR)/larder.service
	install -D -m 644 doc/larder.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder.1
	install -D -m 644 doc/larder-bench.1 $(DESTDIR)$(PREFIX)/share/man/man1/larder-bench.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/larder doc/*.md
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/larder/LICENSE

install-as-memcached: install ## and a link by which it is started as memcached
	ln -sf larder $(DESTDIR)$(PREFIX)/bin/memcached

.PHONY: clean
clean: ## everything that was built or installed under target/
	$(CARGO) clean
