#!/usr/bin/env bash
# Makes python-drift.wasm (or the file that is named) of app.py, with componentize-py in a folder of its own. See README.md.
#
# usage: plugins/examples/python-drift/build.sh [--wasi] [--app FOLDER] [OUT.wasm]
#
# --wasi leaves the imports of WASI in it, which a host then has to grant; --app takes FOLDER/app.py in the place of this one.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STUB=(--stub-wasi) APP=$HERE
while [ $# -gt 0 ]; do
    case "$1" in
        --wasi) STUB=() ;;
        --app) shift; APP=$(realpath "${1:?--app wants a folder}") ;;
        *) break ;;
    esac
    shift
done
OUT=$(realpath -m "${1:-$HERE/python-drift.wasm}")
VERSION=0.25.1
VENV=${TIDEGATE_CACHE:-$HOME/.cache/tidegate}/componentize-py-$VERSION
if [ ! -x "$VENV/bin/componentize-py" ]; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$VERSION"
fi
# With --stub-wasi, what the plugin would ask of WASI answers by a trap: it needs nothing of it, and nothing is to be granted.
"$VENV/bin/componentize-py" -d "$HERE/../../../wit" -w drift-plugin componentize "${STUB[@]}" -p "$APP" app -o "$OUT"
sha256sum "$OUT"
ls -l "$OUT"
