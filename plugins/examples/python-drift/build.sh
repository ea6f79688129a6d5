#!/usr/bin/env bash
# Makes python-drift.wasm (or the file that is named) of app.py, with componentize-py in a folder of its own. See README.md.
#
# usage: plugins/examples/python-drift/build.sh [OUT.wasm]
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OUT=$(realpath -m "${1:-$HERE/python-drift.wasm}")
VERSION=0.25.1
VENV=${TIDEGATE_CACHE:-$HOME/.cache/tidegate}/componentize-py-$VERSION
if [ ! -x "$VENV/bin/componentize-py" ]; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$VERSION"
fi
# What the plugin would ask of WASI answers by a trap: it needs nothing of it, and the host grants nothing.
"$VENV/bin/componentize-py" -d "$HERE/../../../wit" -w drift-plugin componentize --stub-wasi -p "$HERE" app -o "$OUT"
sha256sum "$OUT"
ls -l "$OUT"
