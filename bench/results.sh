#!/bin/bash
# Runs the benchmarks and writes RESULTS.md and curve.svg beside this file; about
# a quarter of an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=bench/RESULTS.md
load=$(cut -d" " -f1 /proc/loadavg)
raw=$(mktemp)
curve=$(mktemp)
export NETWORK_TABLE=$(mktemp)
trap 'rm -f "$raw" "$curve" "$NETWORK_TABLE"' EXIT

run() { # package, benchmarks, -benchtime
	echo "\$ go test -run '^\$' -bench '$2' -benchtime $3 $1" | tee -a "$raw"
	go test -run '^$' -bench "$2" -benchtime "$3" "$1" | tee -a "$raw"
	echo >>"$raw"
}

run ./bench Packet 1s
run ./bench MouthToEar 10x
export ROOM_SECONDS=10
echo "ROOM_SECONDS=10" | tee -a "$raw"
run ./bench Room 1x
run ./bench IdleUser 1x
run ./bench Calls 10x
run ./engine 'PacketHooks|Forward' 1s
run ./engine NetworkChange 1x
run ./engine/callstate . 1s
run ./mixer . 1s
run ./mixer/bridge . 1s
run ./mixer/jitter Optimum 1x
run ./mixer/jitter Call 1s
run ./codec/libopus . 200ms
run ./codec/pionopus . 200ms
run ./transport/simnet . 1s
run ./bench/network . 1x

echo "\$ earshot load -curve bench/curve.svg -duration 5s"
go run ./cmd/earshot load -curve bench/curve.svg -duration 5s | tee "$curve"

{
	echo "# Results"
	echo
	echo "Written by \`make bench\`; README.md beside this file says what each figure means."
	echo
	echo "- commit: $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' and uncommitted changes')"
	echo "- machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(go version | cut -d' ' -f3-)"
	echo "- load before and after: $load, $(cut -d' ' -f1 /proc/loadavg)"
	echo
	echo '```'
	cat "$raw"
	echo '```'
	echo
	echo "## How the cost of a room grows"
	echo
	echo "\`earshot load -curve bench/curve.svg -duration 5s\`; an encode-time is one encode of 20 ms of speech."
	echo
	cat "$curve"
	echo
	echo "![cost of a room against its size and its talkers](curve.svg)"
	echo
	echo "## Bad networks"
	echo
	echo "A camera of 1 Mbit/s and a voice of 32 kbit/s for 20 s; \`NETWORK_TABLE=file go test -run '^\$' -bench Network/table -benchtime 1x ./bench/network\`."
	echo
	cat "$NETWORK_TABLE"
} >"$out"
echo "wrote $out"
