# Bulkhead. `make run` shows it, `make test` proves it, `make install` installs it.
PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go
export CGO_ENABLED = 0

build:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...
	@cp cmd/ucspi-scripts/* bin/

run: build
	@sh scripts/run

# Everything, as CI runs it: fetches peers into a cache folder, changes nothing
# of the system. Tests that need root, network namespaces or a peer say so when
# they skip; with CI=true they fail instead.
test: build
	@sh scripts/test

install: build
	@sh scripts/install "$(DESTDIR)" "$(PREFIX)"

deb: build
	@GO="$(GO)" sh scripts/deb $(VERSION)

bench: build
	@sh scripts/bench all
bench-%: build
	@sh scripts/bench $*

# A million random pairs against Debian's tinydns, ten thousand zones against nsd and knotd.
differential: build
	@sh scripts/differential

# 10 CPU-minutes a target at most in CI's budget; FUZZTIME=1h on demand.
fuzz:
	@sh scripts/fuzz

# A million generated Internets for the resolver; SEEDS=n, FIRST=n. A failure prints its seed.
sim:
	$(GO) test -count=1 -timeout 0 -v ./internal/sim -seeds $${SEEDS:-1000000} -first $${FIRST:-1}

# Writes docs/compartments.md and the systemd units anew, from the declarations.
compartments:
	cd internal/boxes && $(GO) run generate.go
	UPDATE=1 $(GO) test -count=1 ./test/boxes

clean:
	rm -rf bin dist run

.PHONY: sim differential build run test install deb bench fuzz compartments clean
