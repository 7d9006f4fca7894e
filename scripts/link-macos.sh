#!/usr/bin/env bash
# Builds the static library for macOS on any machine and links bindings/c/hello.c with it: every
# symbol that either needs is there. The program is looked at, and cannot be run.
#
# Needs the standard library of aarch64-apple-darwin, as scripts/check-macos.sh does, and Zig, which
# has a linker for Mach-O and the symbols of macOS: from the path, or from PyPI into target/zig.
# Where something cannot be had, one line says "skipped: ..." and the answer is 0. What does not
# build or link answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-apple-darwin
zig_version=0.17.1
seconds_max=300
scratch=$PWD/target/link-macos
mkdir -p "$scratch"

skip() {
    echo "skipped: macOS link, $1"
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
    # With clippy, as scripts/check-macos.sh wants it: whoever comes first fetches it for both.
    export RUSTUP_HOME=$PWD/target/rustup
    mkdir -p "$RUSTUP_HOME"
    log=$RUSTUP_HOME/link-macos.log
    timeout "$seconds_max" rustup toolchain install "$version" --profile minimal \
        --no-self-update --component clippy --target "$target" > "$log" 2>&1 ||
        skip "$target could not be fetched ($(grep -m 1 "^error" "$log" || tail -n 1 "$log"))"
    run=(rustup run "$version")
fi
timeout "$seconds_max" "${run[@]}" cargo fetch --quiet --locked --target "$target" ||
    skip "the crates for $target could not be fetched"

if command -v zig > /dev/null; then
    zig=(zig)
else
    zig=("$PWD/target/zig/bin/python" -m ziglang)
    if [ "$("${zig[@]}" version 2> /dev/null)" != "$zig_version" ]; then
        log=$scratch/zig.log
        { python3 -m venv --clear target/zig && timeout "$seconds_max" target/zig/bin/pip install \
            --quiet --disable-pip-version-check "ziglang==$zig_version"; } > "$log" 2>&1 ||
            skip "Zig $zig_version could not be fetched ($(tail -n 1 "$log"))"
    fi
fi
export ZIG_GLOBAL_CACHE_DIR=$PWD/target/zig-cache ZIG_LOCAL_CACHE_DIR=$PWD/target/zig-cache
"${zig[@]}" version > /dev/null || skip "Zig does not run"

# The static library alone: a shared one would need a linker here.
"${run[@]}" cargo rustc --quiet --locked --release --package allotment-ffi --lib \
    --crate-type staticlib --target "$target" --target-dir target/macos
library=target/macos/$target/release/liballot.a
hello=$scratch/hello
rm -f "$hello"
"${zig[@]}" cc -target aarch64-macos -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude \
    bindings/c/hello.c "$library" -o "$hello"

# Two of a kind: the flag says that the linker left nothing open, the header says for what it is.
# All in a header of 32 bytes, in words of four: magic, processor, its kind, file type, ..., flags.
read -r magic processor _ kind _ _ flags _ < <(od -A n -t x4 -N 32 -w32 "$hello")
if [ "$magic $processor $kind" != "feedfacf 0100000c 00000002" ]; then
    echo "hello is no arm64 Mach-O program: its header begins $magic $processor, type $kind"
    exit 1
fi
if [ $((0x$flags & 1)) -eq 0 ]; then
    echo "hello has undefined symbols (flags 0x$flags)"
    exit 1
fi
echo "hello is linked for $target with $version and Zig $("${zig[@]}" version), no symbol is" \
    "undefined: library $(wc -c < "$library") bytes, program $(wc -c < "$hello"); it was not run"
