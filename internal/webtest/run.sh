#!/bin/bash
# What `make test` runs of JavaScript: types, unit tests, and the browser.
#   run.sh            all of it
#   run.sh unit       types and unit tests alone
#   run.sh browser    the browser's tests alone; what follows are node's own
#                     options, such as --test-name-pattern=mute
#   run.sh FILE.mjs   one of the scripts here: latency.mjs, soak.mjs
# EARSHOT_SHOTS is a folder for screenshots, by default artefacts/view.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)

if ! cmp -s package-lock.json node_modules/.locked; then
	npm ci --no-fund --no-audit --loglevel=error >&2
	cp package-lock.json node_modules/.locked
fi
# Debian 12 has Node.js 18, and Playwright wants 20.
if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
	[ -x node_modules/node/bin/node ] || npm install --no-save --no-fund --no-audit --loglevel=error node@20 >&2
	PATH=$PWD/node_modules/node/bin:$PATH
fi

unit() {
	printf '%s\n' . "$root"/hooks/webview/client "$root"/hooks/webview/view "$root"/examples/game-server/page |
		xargs -P 2 -I {} node node_modules/typescript/bin/tsc -p {}
	# shellcheck disable=SC2046
	node --test --test-reporter=dot unit/*.test.js $(find "$root"/hooks/webview -name '*.test.js')
}

build() {
	mkdir -p "$root"/artefacts/bin
	export EARSHOT_STAGE=$root/artefacts/bin/stage EARSHOT_EXAMPLE=$root/artefacts/bin/custom-web-view
	export EARSHOT_GAME=$root/artefacts/bin/game-server
	export EARSHOT_SHOTS=${EARSHOT_SHOTS:-$root/artefacts/view}
	(cd "$root" && "${GO:-go}" build -o artefacts/bin/ ./internal/webtest/stage ./examples/custom-web-view ./examples/game-server)
	CHROMIUM=${CHROMIUM:-$(command -v chromium)}
	export CHROMIUM
}

browser() {
	build
	node --test --test-concurrency=2 --test-reporter=spec "$@" test/*.test.js
}

case ${1-} in
'') unit && browser ;;
unit) unit ;;
browser) shift && browser "$@" ;;
*) build && node "$@" ;;
esac
