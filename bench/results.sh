#!/bin/bash
# Runs the benchmarks and writes, beside this file, raw.txt (their output, as
# benchstat reads it), RESULTS.md (tables) and the plots in it.
#
#   bench/results.sh        what is judged, in short runs, for ten minutes at most on 2 cores
#   bench/results.sh full   all rows at length, how a room's cost grows, what waits
#                           for locks, and the forwarders of others, if there is a
#                           network to fetch them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=${1:-short}
case $kind in
short) room=3 windows=1 calls=3x load=5x micro=200ms world=5 ;;
full) room=10 windows=3 calls=10x load=10x micro=1s world=30 ;;
*)
	echo "usage: bench/results.sh [full]" >&2
	exit 2
	;;
esac
before=$(cut -d" " -f1 /proc/loadavg 2>/dev/null || echo unknown)
tmp=$(mktemp -d)
raw=$tmp/raw # what there is beside this file stays until all has been run
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
failed=""
SECONDS=0

# What runs is compiled first, at once, and nothing is compiled beside what is
# measured.
packages="bench bench/network engine engine/audience mixer mixer/bridge mixer/jitter"
[ "$kind" = short ] || packages="$packages engine/callstate codec/libopus codec/pionopus transport/simnet"
mkdir "$tmp/bin"
go test -c -o "$tmp/bin/" $(printf './%s ' $packages)
go build -o "$tmp/bin/" ./cmd/earshot ./bench/report
export EARSHOT=$tmp/bin/earshot NETWORK_TABLE=$tmp/network
echo "compiled in $SECONDS s"

# Errors are not among the output: they would fall into its lines.
run() { # package, benchmarks, -benchtime
	local began=$SECONDS
	echo "# go test -run '^\$' -bench '$2' -benchtime $3 ./$1" | tee -a "$raw"
	(cd "$1" && exec "$tmp/bin/${1##*/}.test" -test.run '^$' -test.bench "$2" -test.benchtime "$3" -test.timeout 60m) |
		tee -a "$raw" || failed="$failed $1:$2"
	echo "# $((SECONDS - began)) s" | tee -a "$raw"
	echo >>"$raw"
}

export ROOM_SECONDS=$room ROOM_WINDOWS=$windows WORLD_SECONDS=$world
echo "# ROOM_SECONDS=$room ROOM_WINDOWS=$windows WORLD_SECONDS=$world" | tee "$raw"
run bench Participants 1x
if [ "$kind" = full ]; then
	run bench Room 1x
else
	run bench 'Room/^(100users-5talk|50users-5talk-forward|200users-5talk-forward)$' 1x
fi
run bench MouthToEar "$calls"
if [ "$kind" = full ]; then
	export ROOM_SECONDS=4
	echo "# ROOM_SECONDS=4" | tee -a "$raw"
fi
run bench ServerDelay 1x
run bench BadReceivers 1x
# One stall of the machine makes a window's p99 of the delay half as much again.
export ROOM_SECONDS=4 ROOM_WINDOWS=5
echo "# ROOM_SECONDS=$ROOM_SECONDS ROOM_WINDOWS=$ROOM_WINDOWS" | tee -a "$raw"
run bench Agreement 1x
run bench World 1x
run bench CallSetups 1s
run bench '^BenchmarkCalls$' "$load"
run bench IdleUser 1x
run bench '^BenchmarkPacket$' "$micro"
run bench 'Hooks|Mixer|JitterBuffer' "$micro"
run engine 'PacketHooks|Processors|Forward|WorldSend|WorldJoin' "$micro"
run engine NetworkChange 1x
run engine/audience . "$micro"
run mixer 'Kernel|Mix$' "$micro"
run mixer/bridge . "$micro"
run mixer/jitter Optimum 1x
if [ "$kind" = full ]; then
	run mixer 'Resample|VoiceDetector' "$micro"
	run mixer/jitter Call "$micro"
	run engine/callstate . "$micro"
	run codec/libopus . "$micro"
	run codec/pionopus . "$micro"
	run transport/simnet . "$micro"
	run bench/network . 1x
else
	run bench/network 'Network/^(audio-beside-video|video-5%|2M-500k-2M|latecomers)$' 1x
fi

curve() {
	echo "## How the cost of a room grows"
	echo
	echo "\`earshot load -curve bench/curve.svg -duration 5s\`; an encode-time is one encode of 20 ms of speech."
	echo
	"$EARSHOT" load -curve bench/curve.svg -duration 5s || return
	echo
	echo "![cost of a room against its size and its talkers](curve.svg)"
	echo
}

locks() {
	local args="load -mode forward -users 50 -duration 5s"
	top() { # profile, more flags
		go tool pprof -top -nodecount 12 "${@:2}" "$tmp/$1" 2>/dev/null | grep -v '^\(File\|Build ID\|Time\|Duration\)'
	}
	echo "## What waits for locks"
	echo
	echo "A room of 50 that forwards, five talking, over QUIC; the profiles are of the server's 5 s."
	echo "\`mutex\` says who held a lock that others waited for, and for how long all of those waited"
	echo "together; \`block\` says who waited for a mutex or a read-write mutex, of all that goroutines wait for."
	echo
	echo '```'
	echo "\$ earshot $args -mutexprofile mutex -blockprofile block"
	"$EARSHOT" $args -mutexprofile "$tmp/mutex" -blockprofile "$tmp/block" || return
	echo
	echo "\$ go tool pprof -top -nodecount 12 mutex"
	top mutex
	echo
	echo "\$ go tool pprof -top -cum -nodecount 12 -focus 'sync\.\(\*(RW)?Mutex\)' block"
	top block -cum -focus 'sync\.\(\*(RW)?Mutex\)'
	echo '```'
	echo
}

if [ "$kind" = full ]; then
	curve | tee "$tmp/curve" || failed="$failed curve"
	locks | tee "$tmp/locks" || failed="$failed locks"
	echo "# make bench-peers" | tee -a "$raw"
	if ! (cd bench/peers && go mod download) >"$tmp/peers" 2>&1; then
		echo "# the forwarders of others cannot be fetched: left out" | tee -a "$raw"
	elif ! (cd bench/peers && ROOM_SECONDS=10 go test -run '^$' -bench Forward -benchtime 1x -timeout 60m ./...) | tee -a "$raw"; then
		failed="$failed peers"
	fi
fi

processor() { sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1; }

{
	echo "# Results"
	echo
	if [ "$kind" = full ]; then
		echo "Written by \`make bench-full\`; README.md beside this file says what each figure means."
	else
		echo "Written by \`make bench\`: short runs; \`make bench-full\` measures longer, and more. README.md"
		echo "beside this file says what each figure means."
	fi
	echo
	echo "- commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD -- . ':!bench/raw.txt' ':!bench/RESULTS.md' ':!bench/*.svg' 2>/dev/null || echo ' and uncommitted changes')"
	echo "- machine: $(processor), $(getconf _NPROCESSORS_ONLN) cores, $(uname -sr), $(go version | cut -d' ' -f3-)"
	echo "- load average before and after: $before, $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"
	echo "- took: $((SECONDS / 60)) min $((SECONDS % 60)) s, compiling included"
	[ -z "$failed" ] || echo "- failed, and not (wholly) below:$failed"
	echo
	echo "The same figures as benchstat reads them, with the command that gives each, are in"
	echo "[raw.txt](raw.txt)."
	echo
	echo "## Tables"
	echo
	"$tmp/bin/report" -plots bench "$raw"
	cat "$tmp/curve" "$tmp/locks" 2>/dev/null || true
	if [ -s "$NETWORK_TABLE" ]; then
		echo "## Bad networks"
		echo
		echo "A camera of 1 Mbit/s and a voice of 32 kbit/s for 20 s; \`NETWORK_TABLE=file go test -run '^\$' -bench Network/table -benchtime 1x ./bench/network\`."
		echo
		cat "$NETWORK_TABLE"
	fi
} >"$tmp/results"
mv "$tmp/results" bench/RESULTS.md
mv "$raw" bench/raw.txt
echo "wrote bench/RESULTS.md and bench/raw.txt in $SECONDS s"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
