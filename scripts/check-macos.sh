#!/usr/bin/env bash
# Checks the macOS code of library, C ABI and command on any machine: types and lints, without an SDK or a
# linker.
#
# Needs a toolchain for it (scripts/macos-toolchain.sh). Where it cannot be had, one line says
# "skipped: ..." and the answer is 0. An error in the code answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "skipped: macOS check, $1"
    exit 0
}

source scripts/macos-toolchain.sh
"${run[@]}" cargo clippy --version > /dev/null 2>&1 || skip "the toolchain $version lacks clippy"

# Clippy checks types as well.
if ! "${run[@]}" cargo clippy --quiet --locked --package allotment --package allotment-ffi \
    --package allot --features allot/serve,allot/top --lib --target "$target" --target-dir target/macos -- --deny warnings; then
    echo "the macOS code has errors"
    exit 1
fi
echo "macOS code checked for $target with $version; it was not run"
