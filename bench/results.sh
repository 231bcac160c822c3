#!/bin/bash
# Runs the benchmarks and writes RESULTS.md and curve.svg beside this file; about
# twenty minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=bench/RESULTS.md
load=$(cut -d" " -f1 /proc/loadavg)
raw=$(mktemp)
curve=$(mktemp)
export NETWORK_TABLE=$(mktemp)
locks=$(mktemp -d)
failed=0
trap 'rm -rf "$raw" "$curve" "$locks" "$NETWORK_TABLE"' EXIT

run() { # package, benchmarks, -benchtime
	echo "\$ go test -run '^\$' -bench '$2' -benchtime $3 $1" | tee -a "$raw"
	go test -run '^$' -bench "$2" -benchtime "$3" "$1" | tee -a "$raw" || failed=1
	echo >>"$raw"
}

run ./bench Packet 1s
run ./bench MouthToEar 10x
export ROOM_SECONDS=10
echo "ROOM_SECONDS=10" | tee -a "$raw"
run ./bench Room 1x
export ROOM_SECONDS=4
echo "ROOM_SECONDS=4" | tee -a "$raw"
run ./bench ServerDelay 1x
run ./bench BadReceivers 1x
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

go build -o "$locks/earshot" ./cmd/earshot
lockrun="load -mode forward -users 50 -duration 5s"
echo "\$ earshot $lockrun -mutexprofile mutex.pprof -blockprofile block.pprof"
"$locks/earshot" $lockrun -mutexprofile "$locks/mutex" -blockprofile "$locks/block" | tee "$locks/load"
top() { # profile, more flags
	go tool pprof -top -nodecount 12 "${@:2}" "$locks/$1" 2>/dev/null | grep -v '^\(File\|Build ID\|Time\|Duration\)'
}

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
	echo "## What waits for locks"
	echo
	echo "A room of 50 that forwards, five talking, over QUIC; the profiles are of the server's 5 s."
	echo "\`mutex\` says who held a lock that others waited for, and for how long all of those waited"
	echo "together; \`block\` says who waited for a mutex or a read-write mutex, of all that goroutines wait for."
	echo
	echo '```'
	echo "\$ earshot $lockrun -mutexprofile mutex -blockprofile block"
	cat "$locks/load"
	echo
	echo "\$ go tool pprof -top -nodecount 12 mutex"
	top mutex
	echo
	echo "\$ go tool pprof -top -cum -nodecount 12 -focus 'sync\.\(\*(RW)?Mutex\)' block"
	top block -cum -focus 'sync\.\(\*(RW)?Mutex\)'
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
exit $failed
