# make run    a call of ten seconds between two users, over QUIC on this machine
# make test   all tests, with the race detector where things run at once, and those
#             in a browser
# make test-web     of these what is written in JavaScript; see internal/webtest/run.sh
# make bench  the benchmarks, in short runs; writes bench/RESULTS.md
# make bench-full   the same, longer, and bench-peers
# make bench-peers  what forwarding costs here and in others, in the same run;
#             needs the network once, to fetch pion/webrtc
# make lint   gofmt, go vet, staticcheck
# make fuzz   each fuzz target for FUZZTIME
# make bench-web    how late sound and picture are from page to page
# make soak   a call between two pages, and a recording, of ten minutes each
# make deps   libopus and pkg-config; the others call it, and it says nothing
#             when they are there. make deps-web: chromium, Node.js and npm

GO       ?= go
FUZZTIME ?= 10s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: run test test-web bench bench-full bench-web bench-peers soak lint fuzz deps deps-web

run: deps
	@$(GO) run ./cmd/earshot demo

# What has no goroutines is tested without the race detector alone, and what is
# mostly calculation both with it, in short, and without.
ALONE = ./codec/... ./hooks/effects
CALCULATES = ./mixer ./mixer/jitter ./internal/audio ./internal/speech
# The race detector allocates and is slow, so what is promised about memory, and
# what it would take too long over, is tested without it, by these names.
WITHOUT_RACE = Alloc|IsSmall|Conformance|BadPlugins|BadNetwork|Lines?Up

# Opus in Go is not instrumented: it, too, only calculates. `make lint` vets.
# Each benchmark runs once, lest it rot, but for those that are long and much like
# others or tests (BadReceivers is bench/load's TestRun/bad); of none is more
# asked than that it works. Packages without any are not linked for it.
test: deps
	$(GO) test -race -vet=off -shuffle=on -gcflags=github.com/pion/opus/...=-race=false $$($(GO) list ./... | grep -vE '/(codec|effects)(/|$$)')
	$(GO) test -vet=off -shuffle=on $(ALONE) $(CALCULATES)
	$(GO) test -vet=off -shuffle=on -run '$(WITHOUT_RACE)' $$(grep -lrE --include=*_test.go 'func Test\w*($(WITHOUT_RACE))' bench/network engine hooks/hookstest hooks/record mixer/bridge transport | xargs -n 1 dirname | sort -u | sed 's,^,./,')
	$(GO) test -vet=off -run '^$$' -bench . -skip 'ServerDelay/window|BadReceivers|Participants|MouthToEar/mix|Agreement|NetworkChange' -benchtime 1x $$(grep -lr --include=*_test.go '^func Benchmark' bench/*_test.go engine | xargs -n 1 dirname | sort -u | sed 's,^,./,')
	CGO_ENABLED=0 $(GO) build ./...
	cd examples/nakama-module && $(GO) vet ./... && $(GO) test -vet=off ./...
	@$(MAKE) --no-print-directory test-web

test-web: deps deps-web
	GO=$(GO) internal/webtest/run.sh

bench-web: deps deps-web
	@GO=$(GO) internal/webtest/run.sh latency.mjs

soak: deps deps-web
	@GO=$(GO) internal/webtest/run.sh soak.mjs
	RECORD_SOAK=10m $(GO) test -count 1 -timeout 30m -run InRealTime -v ./hooks/record

bench: deps
	@bench/results.sh

bench-full: deps
	@bench/results.sh full

PEERS_SECONDS ?= 10

bench-peers: deps
	cd bench/peers && $(GO) vet ./... && \
		ROOM_SECONDS=$(PEERS_SECONDS) $(GO) test -run '^$$' -bench Forward -benchtime 1x -timeout 60m -v ./...

lint: deps
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "gofmt -w is needed for:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz: deps
	@set -e; $(GO) list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir package; do \
		for target in $$(cat "$$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done

PACKAGES = libopus-dev libopusfile-dev pkg-config

deps:
	@if pkg-config --exists opus opusfile 2>/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "Earshot needs libopus, libopusfile and pkg-config with their headers. Install them:" >&2; \
		echo "  Fedora   dnf install opus-devel opusfile-devel pkgconf-pkg-config" >&2; \
		echo "  Arch     pacman -S opus opusfile pkgconf" >&2; \
		echo "  Alpine   apk add opus-dev opusfile-dev pkgconf" >&2; \
		echo "  macOS    brew install opus opusfile pkg-config" >&2; \
		exit 1; \
	fi; \
	$(call apt_install,$(PACKAGES))

# Only the browser's tests need these.
deps-web:
	@missing=; \
	command -v chromium >/dev/null || [ -n "$(CHROMIUM)" ] || missing=chromium; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "The tests in a browser need$$missing: chromium, Node.js 20 or later and npm. Install them:" >&2; \
		echo "  Fedora   dnf install chromium nodejs npm" >&2; \
		echo "  Arch     pacman -S chromium nodejs npm" >&2; \
		echo "  Alpine   apk add chromium nodejs npm" >&2; \
		echo "  macOS    brew install node, and CHROMIUM=/Applications/…/Chromium" >&2; \
		exit 1; \
	fi; \
	$(call apt_install,$$missing)

# apt_install installs packages with apt, as root or with sudo.
define apt_install
as_root=; \
if [ "$$(id -u)" != 0 ]; then \
	if ! command -v sudo >/dev/null; then \
		echo "Install as root, then try again: apt-get install" $(1) >&2; exit 1; \
	fi; \
	as_root=sudo; \
fi; \
echo "Installing" $(1) >&2; \
$$as_root apt-get update -qq >&2 || echo "apt-get update failed; trying with what is known" >&2; \
$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >&2 </dev/null
endef
