# make run    a call of ten seconds between two users, over QUIC on this machine
# make test   all tests, with the race detector
# make bench  the benchmarks; writes bench/RESULTS.md
# make bench-peers  what forwarding costs here and in others, in the same run;
#             needs the network once, to fetch pion/webrtc
# make soak   what is tested in virtual time, by the clock on the wall: ten minutes
# make lint   gofmt, go vet, staticcheck
# make fuzz   each fuzz target for FUZZTIME
# make deps   libopus and pkg-config; the others call it, and it says nothing
#             when they are there

GO       ?= go
FUZZTIME ?= 10s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: run test bench bench-peers soak lint fuzz deps

run: deps
	@$(GO) run ./cmd/earshot demo

# The race detector allocates and is slow, so what is promised about memory, and
# what it would take too long over, is tested without it; and each benchmark
# runs once, lest it rot.
test: deps
	$(GO) test -race -shuffle=on ./...
	$(GO) test -shuffle=on -run 'Alloc|IsSmall|Conformance|BadPlugins|VoicesDiffer|VoiceInNoise|DriftForAnHour|Optimum|BadNetwork|LineUp' ./...
	$(GO) test -run '^$$' -bench . -benchtime 1x ./bench ./engine/...
	CGO_ENABLED=0 $(GO) build ./...

bench: deps
	@bench/results.sh

# A recording's speakers line up.
soak: deps
	RECORD_SOAK=10m $(GO) test -count 1 -timeout 30m -run InRealTime -v ./hooks/record

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
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then \
		if ! command -v sudo >/dev/null; then \
			echo "Install as root, then try again: apt-get install $(PACKAGES)" >&2; exit 1; \
		fi; \
		as_root=sudo; \
	fi; \
	echo "Installing $(PACKAGES)" >&2; \
	$$as_root apt-get update -qq >&2 || echo "apt-get update failed; trying with what is known" >&2; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >&2 </dev/null
