#!/usr/bin/env bash
# Checks the macOS code of library and C ABI on any machine: types and lints, without an SDK or a
# linker.
#
# Needs the standard library of aarch64-apple-darwin. If the active toolchain has it, that serves;
# else rustup fetches the same version into target/rustup and leaves all other toolchains alone.
# Where neither can be had, one line says "skipped: ..." and the answer is 0. An error in the code
# answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-apple-darwin
seconds_max=180

skip() {
    echo "skipped: macOS check, $1"
    exit 0
}

command -v cargo > /dev/null || skip "there is no cargo"
version=$(rustc --version | cut -d ' ' -f 2)
run=()
if [ ! -d "$(rustc --print target-libdir --target "$target" 2> /dev/null || echo /nonexistent)" ]; then
    command -v rustup > /dev/null ||
        skip "the toolchain lacks $target and there is no rustup to fetch it"
    case $version in
    *-nightly | *-beta | *-dev) skip "the toolchain $version lacks $target" ;;
    esac
    export RUSTUP_HOME=$PWD/target/rustup
    mkdir -p "$RUSTUP_HOME"
    log=$RUSTUP_HOME/check-macos.log
    timeout "$seconds_max" rustup toolchain install "$version" --profile minimal \
        --no-self-update --component clippy --target "$target" > "$log" 2>&1 ||
        skip "$target could not be fetched ($(grep -m 1 "^error" "$log" || tail -n 1 "$log"))"
    run=(rustup run "$version")
fi

"${run[@]}" cargo clippy --version > /dev/null 2>&1 || skip "the toolchain $version lacks clippy"
timeout "$seconds_max" "${run[@]}" cargo fetch --quiet --locked --target "$target" ||
    skip "the crates for $target could not be fetched"

# Clippy checks types as well.
if ! "${run[@]}" cargo clippy --quiet --locked --package allotment --package allotment-ffi --lib \
    --target "$target" --target-dir target/macos -- --deny warnings; then
    echo "the macOS code has errors"
    exit 1
fi
echo "macOS code checked for $target with $version; it was not run"
