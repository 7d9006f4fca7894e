#!/usr/bin/env bash
# Builds the fuzz targets (fuzz/README.md) with the toolchain that is there, a stable one too, and
# runs each for SECONDS, 10 unless said otherwise; all of them, or those that are named. One after
# the other, or FUZZ_JOBS at a time.
#
#   scripts/fuzz.sh [SECONDS [TARGET...]]
#
# Each starts with its seeds (fuzz/seeds) and with what earlier runs have found (fuzz/corpus, which
# git ignores). A run without a crash is worth what the fuzzer finds: first a planted bug (canary)
# has to be found. What crashes a target lies in fuzz/artifacts, and the answer is 1.
#
# Needs a C++ compiler, for libFuzzer, and the runtime of AddressSanitizer, which toolchains have
# for the usual targets. What is missing is said in one line, "skipped: ...", and the answer is 0.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
shift || true
jobs_max=${FUZZ_JOBS:-1}
canary_seconds_max=60
fetch_seconds_max=180
out=target/fuzz

skip() {
    echo "skipped: fuzzing, $1"
    exit 0
}

command -v cargo > /dev/null || skip "there is no cargo"
[ -n "${CXX:-}" ] || command -v c++ > /dev/null || skip "there is no C++ compiler for libFuzzer"
host=$(rustc --print host-tuple)
libraries=$(rustc --print sysroot)/lib/rustlib/$host/lib
compgen -G "$libraries/librustc-*_rt.asan.a" > /dev/null ||
    skip "the toolchain has no AddressSanitizer for $host"
timeout "$fetch_seconds_max" cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml ||
    skip "the crates could not be fetched"

all=()
for source in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    [ "$name" = canary ] || all+=("$name")
done
targets=("${@:-${all[@]}}")
for name in "${targets[@]}"; do
    if [ ! -f "fuzz/fuzz_targets/$name.rs" ]; then
        echo "there is no target \`$name\` among: ${all[*]}" >&2
        exit 2
    fi
done

# Those of cargo-fuzz, without its dead code: each run of a target looks at every counter. With a
# target that is named, scripts and macros of the build stay as they are.
RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host" \
    --target-dir "$out"

# Some write files: in memory, where there is such a place.
memory=/dev/shm
[ -d "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory/allotment-fuzz-XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# What was freed comes back after a while: fresh pages cost more than the calls themselves.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16}

# Runs a target, with its output in a file beside its program. Answers as the target does.
run() {
    local name=$1 most=$2 artifacts=$3
    local options=(-max_total_time="$most" -print_final_stats=1 -timeout=20 -rss_limit_mb=3072
        -artifact_prefix="$artifacts/")
    [ ! -f "fuzz/dictionaries/$name.dict" ] || options+=(-dict="fuzz/dictionaries/$name.dict")
    local folders=("fuzz/corpus/$name")
    [ ! -d "fuzz/seeds/$name" ] || folders+=("fuzz/seeds/$name")
    mkdir -p "$artifacts" "${folders[0]}"
    "$out/$host/release/$name" "${options[@]}" "${folders[@]}" > "$out/$name.log" 2>&1
}

# The last of the figures that the log has under a name.
figure() {
    local found
    found=$(sed -n "s/.*$2 *\([0-9]*\).*/\1/p" "$out/$1.log" | tail -n 1)
    echo "${found:-0}"
}

row() {
    local name=$1
    printf '%-20s %11s %8s %6s %8s %7s  %s\n' "$name" \
        "$(figure "$name" stat::number_of_executed_units:)" \
        "$(figure "$name" stat::average_exec_per_sec:)" \
        "$(figure "$name" ' cov:')" "$(figure "$name" ' ft:')" "$(figure "$name" ' corp:')" "$2"
}

printf '%-20s %11s %8s %6s %8s %7s  %s\n' target runs runs/s edges features corpus crashes
rm -rf fuzz/corpus/canary
if run canary "$canary_seconds_max" "$out/canary" || ! grep -q "the planted bug" "$out/canary.log"
then
    row canary 0
    tail -n 20 "$out/canary.log"
    echo "the planted bug was not found in $canary_seconds_max s: a clean run would mean nothing"
    exit 1
fi
row canary "1, planted"

fuzz() {
    local name=$1
    rm -f "$out/$name.crashed"
    if run "$name" "$seconds" "fuzz/artifacts/$name"; then
        row "$name" 0
    else
        touch "$out/$name.crashed"
        row "$name" 1
    fi
}

for name in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs_max" ]; do
        wait -n
    done
    fuzz "$name" &
done
wait

crashed=()
for name in "${targets[@]}"; do
    [ ! -e "$out/$name.crashed" ] || crashed+=("$name")
done
for name in "${crashed[@]}"; do
    echo
    echo "$name:"
    grep -m 1 -A 6 -e 'panicked at' -e 'ERROR: ' "$out/$name.log" || tail -n 20 "$out/$name.log"
    sed -n 's/.*Test unit written to \(.*\)$/the input: \1/p' "$out/$name.log"
done
[ ${#crashed[@]} -eq 0 ]
