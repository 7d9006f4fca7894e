#!/usr/bin/env bash
# The C header and ffi/src say the same.
#
#   scripts/header.sh verify   fails, and shows the difference, if they do not (the default)
#   scripts/header.sh write    makes include/allot.h anew
#
# Needs cbindgen of the version below: another one would lay the header out in another way. Takes it
# from the path, or installs it under target/tools.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.29.4
tools=$PWD/target/tools
export PATH=$tools/bin:$PATH
if [ "$(cbindgen --version 2> /dev/null)" != "cbindgen $version" ]; then
    echo "installing cbindgen $version under target/tools"
    # Not optimised: to build it takes longer than all that it does.
    if ! cargo install --quiet --locked --debug --version "=$version" --root "$tools" \
        --target-dir "$tools/build" cbindgen; then
        echo "skipped: cbindgen $version cannot be installed, the header is not compared"
        exit 0
    fi
fi
case ${1:-verify} in
verify)
    cbindgen --quiet --config ffi/cbindgen.toml --output include/allot.h --verify ffi
    echo "include/allot.h is what cbindgen $version makes of ffi/src"
    ;;
write) cbindgen --quiet --config ffi/cbindgen.toml --output include/allot.h ffi ;;
*)
    echo "usage: scripts/header.sh [verify|write]" >&2
    exit 2
    ;;
esac
