# hasty: `make run` serves the example site, `make test` runs the tests; `make` lists the other targets.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc/hasty
FUZZ_SECONDS ?= 60
BENCH ?= --all
target := $(abspath $(or $(CARGO_TARGET_DIR),target))
library := $(target)/release
version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Runs a cargo that is new enough: the one that is installed, or else Debian's, which it installs.
cargo := tests/lib/cargo.sh

.DEFAULT_GOAL := help
.PHONY: help run build wheel test test-all lint fuzz bench growth header notices install uninstall clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

run: build ## serve the example site and print its URL (PORT=8080)
	@mkdir -p $(target)/examples
	$(CC) -O2 -Wall -I include examples-c/site.c -o $(target)/examples/site $(library)/libhasty.a -lpthread -ldl -lm
	@exec $(target)/examples/site

build: ## build libhasty.so and libhasty.a into target/release
	$(cargo) build --release
	@ln -sf libhasty.so $(library)/libhasty.so.0

wheel: ## build a wheel for every Python 3 and old Linux, and a source distribution, into target/wheels
	@bindings/python/wheel/make.sh

test: ## run every test that takes minutes
	@tests/check.sh

test-all: ## run every test there is
	@tests/check.sh --all

lint: ## check formatting, clippy, documentation and Python types
	@tests/check.sh lint

fuzz: ## feed the parser mutated requests for FUZZ_SECONDS (60)
	@tests/fuzz/run.sh $(FUZZ_SECONDS)

bench: build ## compare with other servers, for half an hour (BENCH=--try: some minutes); benches/README.md has the tables
	@benches/run.sh $(BENCH)

growth: build ## show how cost grows with routes, headers, connections, threads and bodies
	@benches/run.sh --growth --publish benches/README.md --charts benches/charts

header: ## write include/hasty.h, tests/abi/symbols.txt and the declarations in bindings anew from src/ffi
	HASTY_BLESS=1 $(cargo) test --quiet --test header the_committed_header
	python3 tests/abi/symbols.py --bless include/hasty.h
	python3 bindings/declare.py
	@git --no-pager diff --stat HEAD -- include/hasty.h tests/abi/symbols.txt 2>/dev/null || true

notices: ## write NOTICES.txt anew: the licences of what is linked in, by Cargo.lock
	CARGO=$(cargo) python3 bindings/notices.py
	@git --no-pager diff --stat HEAD -- NOTICES.txt 2>/dev/null || true

# Only copies what `make build` has built, so that `sudo make install` does not build as root.
install: ## copy library, header, hasty.pc and licences to PREFIX (/usr/local), below DESTDIR
	@test -f $(library)/libhasty.so -a -f $(library)/libhasty.a || { echo 'nothing to install yet: make build'; exit 1; }
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DOCDIR)
	install -m 644 include/hasty.h $(DESTDIR)$(INCLUDEDIR)/hasty.h
	install -m 644 $(library)/libhasty.a $(DESTDIR)$(LIBDIR)/libhasty.a
	install -m 755 $(library)/libhasty.so $(DESTDIR)$(LIBDIR)/libhasty.so.$(version)
	ln -sf libhasty.so.$(version) $(DESTDIR)$(LIBDIR)/libhasty.so.0
	ln -sf libhasty.so.0 $(DESTDIR)$(LIBDIR)/libhasty.so
	install -m 644 LICENSE-MIT LICENSE-APACHE NOTICES.txt $(DESTDIR)$(DOCDIR)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' 'Name: hasty' \
		'Description: An embeddable HTTP/1.1 server' 'Version: $(version)' 'Cflags: -I$${includedir}' \
		'Libs: -L$${libdir} -lhasty' 'Libs.private: -lpthread -ldl -lm' >$(DESTDIR)$(LIBDIR)/pkgconfig/hasty.pc

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(INCLUDEDIR)/hasty.h $(DESTDIR)$(LIBDIR)/pkgconfig/hasty.pc
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/libhasty.,a so so.0 so.$(version))
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,LICENSE-MIT LICENSE-APACHE NOTICES.txt)
	@rmdir $(DESTDIR)$(DOCDIR) 2>/dev/null || true

clean: ## remove everything that was built or installed into the checkout
	rm -rf $(target) .venv tests/fuzz/target tests/fuzz/Cargo.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
