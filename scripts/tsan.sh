#!/usr/bin/env bash
# Runs the C ABI under ThreadSanitizer: library, standard library and program, all of them built
# with it. Eight threads call everything at random (ffi/tests/threads.c) for SECONDS, 60 unless
# said otherwise.
#
#   scripts/tsan.sh [SECONDS [SEED]]
#   scripts/tsan.sh core                the tests of the core instead
#
# A run without a report is worth what the tool sees: first a race that is planted within the
# library has to be reported. Nothing is excluded. ThreadSanitizer does not see the edges that
# atomic fences make (src/core: scarcity.rs, ring.rs, waiters.rs), but what those order are
# atomics only, of which it reports none.
#
# Needs a compiler with the source of its standard library: that of the machine's nightly, or one
# that rustup fetches into target/rustup, or Debian's rustc-web unpacked into target/rustc-web. All
# other toolchains are left alone. Where none can be had, or no C compiler, one line says
# "skipped: ..." and the answer is 0. A report or a fault answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
core=""
[ "$seconds" != core ] || core=yes
seed=${2:-$(date +%s)}
nightly=nightly-2026-05-20
fetch_seconds_max=180
target=$(uname -m)-unknown-linux-gnu
out=target/tsan

skip() {
    echo "skipped: ThreadSanitizer, $1"
    exit 0
}

[ "$(uname -s)" = Linux ] || skip "the script knows Linux only"
compiler=""
for name in clang gcc; do
    command -v "$name" > /dev/null && compiler=$name && break
done
[ -n "$compiler" ] || skip "there is neither clang nor gcc"
command -v cargo > /dev/null || skip "there is no cargo"

# How cargo is called, where the sanitizer's runtime is, and whose both are.
cargo=()
runtime=""
toolchain=""

has_source() {
    local root
    root=$(rustup run "$1" rustc --print sysroot 2> /dev/null) || return 1
    [ -d "$root/lib/rustlib/src/rust/library" ]
}

use_nightly() {
    toolchain=$1
    cargo=(rustup run "$1" cargo)
    runtime=$(rustup run "$1" rustc --print sysroot)/lib/rustlib/$target/lib
    runtime=$runtime/librustc-nightly_rt.tsan.a
    [ -f "$runtime" ]
}

by_rustup() {
    command -v rustup > /dev/null || { why="there is no rustup"; return 1; }
    if has_source nightly; then
        use_nightly nightly
        return
    fi
    local home=$PWD/target/rustup
    local log=$home/tsan.log
    mkdir -p "$home"
    if ! RUSTUP_HOME=$home has_source "$nightly" &&
        ! RUSTUP_HOME=$home timeout "$fetch_seconds_max" rustup toolchain install "$nightly" \
            --profile minimal --no-self-update --component rust-src > "$log" 2>&1; then
        why="$nightly could not be fetched ($(grep -m 1 "^error" "$log" || tail -n 1 "$log"))"
        return 1
    fi
    export RUSTUP_HOME=$home
    use_nightly "$nightly"
}

# The compiler of Debian's web browsers: without a runtime, for which that of the machine's own
# toolchain serves.
by_debian() {
    command -v apt-get > /dev/null || { why="$why, and there is no apt-get"; return 1; }
    local root=$PWD/target/rustc-web
    if [ ! -x "$root/rustc" ]; then
        mkdir -p "$root/packages"
        local parts
        parts=$(apt-cache depends --recurse --no-recommends --no-suggests rustc-web 2> /dev/null |
            grep -E "^(rustc-web|libstd-rust-web.*|libllvm[0-9]+)$" | sort -u)
        # Without quotes: names, one a word.
        # shellcheck disable=SC2086
        (cd "$root/packages" && timeout "$fetch_seconds_max" \
            apt-get download rustc-web rust-web-src $parts) > "$root/log" 2>&1 ||
            { why="$why, nor could Debian's rustc-web"; return 1; }
        local package
        for package in "$root"/packages/*.deb; do
            dpkg-deb -x "$package" "$root/unpacked"
        done
        cat > "$root/rustc" << END
#!/bin/sh
LD_LIBRARY_PATH=$root/unpacked/usr/lib/$(uname -m)-linux-gnu exec $root/unpacked/usr/bin/rustc "\$@"
END
        chmod +x "$root/rustc"
    fi
    runtime=$(rustc --print sysroot)/lib/rustlib/$target/lib
    runtime=$(find "$runtime" -name "librustc-*_rt.tsan.a" | head -n 1)
    [ -n "$runtime" ] || { why="$why, and the toolchain has no runtime of it"; return 1; }
    toolchain=$("$root/rustc" --version)
    cargo=(env RUSTC="$root/rustc" RUSTC_BOOTSTRAP=1 cargo)
    out=target/tsan-web
}

why=""
by_rustup || by_debian || skip "$why"
timeout "$fetch_seconds_max" "${cargo[@]}" fetch --quiet --locked ||
    skip "the crates could not be fetched"

# libtest calls a run good that the tool reports something of: its exit status does not.
if [ -n "$core" ]; then
    export TSAN_OPTIONS="exitcode=66 halt_on_error=1"
    CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true RUSTFLAGS=-Zsanitizer=thread "${cargo[@]}" test \
        --quiet --locked --release --package allotment --lib --test core --test os -Zbuild-std \
        --target "$target" --target-dir "$out"
    echo "no report in the tests of the core, by $toolchain"
    exit 0
fi

RUSTFLAGS=-Zsanitizer=thread "${cargo[@]}" rustc --quiet --locked --release \
    --package allotment-ffi --lib --crate-type staticlib -Zbuild-std --target "$target" \
    --target-dir "$out"
# The program is compiled by whatever compiler there is, and linked with the runtime that the
# library was made for.
"$compiler" -std=c99 -O1 -g -Wall -Wextra -pedantic -Werror -fsanitize=thread -Iinclude \
    -c ffi/tests/threads.c -o "$out/threads.o"
"$compiler" "$out/threads.o" "$out/$target/release/liballot.a" \
    -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive -Wl,--export-dynamic \
    -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc -o "$out/threads"

export TSAN_OPTIONS="exitcode=66 second_deadlock_stack=1"
status=0
"$out/threads" --race > "$out/planted.log" 2>&1 || status=$?
if [ "$status" -ne 66 ] || ! grep -q "data race" "$out/planted.log" ||
    ! grep -q "in allot_events_read\|allot_events_read " "$out/planted.log"; then
    cat "$out/planted.log"
    echo "a planted race in the library was not reported: a clean run would mean nothing"
    exit 1
fi
echo "a planted race in the library is reported"

if ! timeout $((seconds + 300)) "$out/threads" "$seconds" "$seed" > "$out/threads.log" 2>&1; then
    cat "$out/threads.log"
    echo "ThreadSanitizer has reported something, or the threads' books are wrong; seed $seed"
    exit 1
fi
cat "$out/threads.log"
echo "no report in $seconds s of eight threads, by $compiler and $toolchain"
