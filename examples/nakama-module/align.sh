#!/bin/sh
# Takes every module that Nakama uses, too, at Nakama's version: Go opens a plugin
# only if it was built with the very packages that the program has.
#
#	./align.sh /nakama/nakama     # Nakama's program; writes go.mod and go.sum
#
# Where something here asks for a newer version, that one is excluded, and Go then
# passes over who asked. A replace would not do: with -trimpath a package says in
# its file names which version it stands for.
set -eu
want=$(go version "$1" | awk '{print $2}')
have=$(go env GOVERSION)
if [ "$want" != "$have" ]; then
	echo "$1 was built with $want, and this is $have: take that Go" >&2
	exit 1
fi
graph=$(go mod graph)
shared=$(go version -m "$1" | awk -v graph="$graph" '
	BEGIN {
		n = split(graph, words, /[ \n]/)
		for (i = 1; i <= n; i++) { sub(/@.*/, "", words[i]); use[words[i]] }
	}
	$1 == "dep" && $2 in use { print $2 "@" $3 }')
for module in $shared; do
	go mod edit -require "$module"
	for other in $(echo "$graph" | awk -v name="${module%@*}@" 'index($2, name) == 1 { print $2 }' | sort -u); do
		[ "$other" = "$module" ] || go mod edit -exclude "$other"
	done
done
go mod tidy
for module in $shared; do
	now=$(go list -m -f '{{.Path}}@{{.Version}}' "${module%@*}" 2>/dev/null) || continue # not used after all
	if [ "$now" != "$module" ]; then
		echo "it stays at $now, and Nakama has $module" >&2
		exit 1
	fi
	echo "$module"
done
