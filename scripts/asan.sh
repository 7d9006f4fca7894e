#!/usr/bin/env bash
# The library under AddressSanitizer, its Rust as well: bad input, hostile callbacks, races.
#
#   scripts/asan.sh
#   scripts/asan.sh core     the tests of the core instead
#
# Needs a nightly Rust, which instruments the library, and clang, whose runtime is linked: both
# sides share one shadow of the memory. What is missing is skipped aloud.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version > /dev/null 2>&1; then
    echo "skipped: no nightly Rust, the library is not built with AddressSanitizer"
    exit 0
fi
if [ "${1:-}" = core ]; then
    target=$(rustc +nightly --print host-tuple)
    # Which slots a thread prefers is told by where its stack is: it has to stay where it is.
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_stack_use_after_return=0
    CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true RUSTFLAGS=-Zsanitizer=address \
        cargo +nightly test --quiet --locked --release --package allotment --lib --test core \
        --test os --target "$target" --target-dir target/asan
    echo "no report in the tests of the core, by $(rustc +nightly --version)"
    exit 0
fi
if ! clang --version > /dev/null 2>&1; then
    echo "skipped: no clang, the library is not run under AddressSanitizer"
    exit 0
fi
target=$(rustc +nightly --print host-tuple)
build=target/asan
# For a target that is named the scripts and macros of the build stay as they are.
RUSTFLAGS=-Zsanitizer=address cargo +nightly build --quiet --package allotment-ffi \
    --features panicking --target "$target" --target-dir "$build"
for compiler in clang gcc; do
    if ! $compiler --version > /dev/null 2>&1; then
        echo "skipped: $compiler is not on the path"
        continue
    fi
    $compiler -std=c99 -Wall -Wextra -pedantic -Werror -g -fsanitize=address,undefined \
        -fno-sanitize-recover=all -Iinclude ffi/tests/bad_input.c \
        "$build/$target/debug/liballot.a" -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc \
        -o "$build/bad_input"
    echo "$compiler: bad input, all of it instrumented"
    # What panics on purpose has much to say on standard error: it is shown if something fails.
    if ! RUST_BACKTRACE=0 timeout 300 "$build/bad_input" 2> "$build/bad_input.err"; then
        grep -A40 -e 'ERROR: ' -e 'runtime error' "$build/bad_input.err" ||
            tail -20 "$build/bad_input.err"
        exit 1
    fi
done
