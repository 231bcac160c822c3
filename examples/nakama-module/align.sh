#!/bin/sh
# Takes every module that Nakama uses, too, at Nakama's version: Go opens a plugin
# only if it was built with the very packages that the program has.
#
#	./align.sh /nakama/nakama     # Nakama's program; writes go.mod and go.sum
set -eu
want=$(go version "$1" | awk '{print $2}')
have=$(go env GOVERSION)
if [ "$want" != "$have" ]; then
	echo "$1 was built with $want, and this is $have: take that Go" >&2
	exit 1
fi
ours=$(go list -m all | awk '{print $1}')
go version -m "$1" | awk -v ours="$ours" '
	BEGIN { n = split(ours, list, "\n"); for (i = 1; i <= n; i++) use[list[i]] }
	$1 == "dep" { name = $2; at[name] = $2 "@" $3 }
	$1 == "=>" { at[name] = $2 "@" $3 }
	END { for (name in at) if (name in use) print name "=" at[name] }
' | while read -r replace; do
	echo "$replace"
	go mod edit -replace "$replace"
done
go mod tidy
