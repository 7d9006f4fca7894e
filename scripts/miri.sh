#!/usr/bin/env bash
# Tests of the core under Miri, which interprets them: it sees memory that is used after its end or
# before its beginning, and races that fences do not order, whatever the machine makes of them.
#
#   scripts/miri.sh [TEST...]     names, or parts of them, instead of those below
#
# It is some ten thousand times slower, so these are the ones that walk through the code which is
# `unsafe`, on small tables.
#
# Needs a nightly Rust with Miri and the source of its standard library: that of the machine, or one
# that rustup fetches into target/rustup. What is missing is said in one line, "skipped: ...".
set -euo pipefail
cd "$(dirname "$0")/.."

nightly=nightly-2026-05-20
fetch_seconds_max=180
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(word:: rate:: share:: ring::threads ring::agrees registry::threads
    ghost::one_set grants::agree governor::a_grant_is_counted governor::the_pool_denies_with_data
    governor::a_batch_is_granted governor::groups_bound)

skip() {
    echo "skipped: Miri, $1"
    exit 0
}

command -v rustup > /dev/null || skip "there is no rustup"
if ! rustup run nightly cargo miri --version > /dev/null 2>&1; then
    export RUSTUP_HOME=$PWD/target/rustup
    mkdir -p "$RUSTUP_HOME"
    log=$RUSTUP_HOME/miri.log
    timeout "$fetch_seconds_max" rustup toolchain install "$nightly" --profile minimal \
        --no-self-update --component rust-src --component miri > "$log" 2>&1 ||
        skip "$nightly could not be fetched ($(grep -m 1 '^error' "$log" || tail -n 1 "$log"))"
else
    nightly=nightly
fi

# Its own standard library lies in a cache.
export XDG_CACHE_HOME=$PWD/target/miri-cache
export MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=1
cargo "+$nightly" miri test --quiet --locked --package allotment --test core \
    --target-dir target/miri -- "${tests[@]}"
echo "no report by $(rustup run "$nightly" rustc --version)"
