#!/usr/bin/env bash
# Builds the static library for macOS on any machine and links bindings/c/hello.c with it: every
# symbol that either needs is there. The program is looked at, and cannot be run.
#
# Needs a toolchain for it (scripts/macos-toolchain.sh), and Zig, which has a linker for Mach-O and
# the symbols of macOS: from the path, or from PyPI into target/zig.
# Where something cannot be had, one line says "skipped: ..." and the answer is 0. What does not
# build or link answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

zig_version=0.17.1
scratch=$PWD/target/link-macos
mkdir -p "$scratch"

skip() {
    echo "skipped: macOS link, $1"
    exit 0
}

source scripts/macos-toolchain.sh

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
