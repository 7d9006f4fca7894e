#!/usr/bin/env bash
# How much of src/core the library's own tests run: lines, regions and branches of each file. Those
# under a scheduler that chooses who goes on (tests/schedules.rs), and those with calls in between
# others (tests/interrupted.rs), are among them; the models of loom-tests are not.
#
#   scripts/coverage.sh          a table; fails if fewer lines are run than LINES_MIN percent
#   scripts/coverage.sh missing  the lines that none of them runs, of the last measurement
#
# Needs llvm-profdata and llvm-cov that read the profiles of this compiler: those of the same LLVM,
# by the names that Debian gives them (package llvm-N), on the path, or of the compiler itself
# (component llvm-tools). Branches take an option that the compiler calls unstable.
set -euo pipefail
cd "$(dirname "$0")/.."

lines_min=${LINES_MIN:-97}
target=$PWD/target/coverage
version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
own=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin

# The tool of that name whose LLVM is the compiler's.
tool() {
    local found
    for found in "$own/$1" "$1-$version" "$1"; do
        if command -v "$found" > /dev/null && "$found" --version | grep -q "version $version\."; then
            command -v "$found"
            return
        fi
    done
    return 1
}

if ! profdata=$(tool llvm-profdata) || ! cov=$(tool llvm-cov); then
    echo "skipped: coverage, there is no llvm-cov of LLVM $version (package llvm-$version)"
    exit 0
fi

# Names the programs whose tests ran, all but the first with the option that llvm-cov wants.
objects() {
    sed -n 's/^ *Running .*(\(.*\))$/\1/p' "$target"/*.log | sort -u |
        sed '1!s/^/--object /' | tr '\n' ' '
}

if [ "${1:-}" = missing ]; then
    # shellcheck disable=SC2046 # one word for each
    "$cov" export --format=lcov --instr-profile "$target/all.profdata" $(objects) \
        --sources src/core 2> /dev/null | awk -F '[:,]' '
        /^SF:/ { name = $2; sub(".*/src/core/", "src/core/", name) }
        /^DA:/ && $3 == 0 { print name ":" $2 }'
    exit 0
fi

# Each kind of build has its own programs.
measure() {
    local log=$target/$1.log build=$target/$1
    shift
    if ! cargo test --locked --package allotment --target-dir "$build" "$@" > "$log" 2>&1; then
        grep -E '^test .* FAILED|panicked at|^error' "$log" >&2 || true
        echo "the tests fail where their coverage is measured: see ${log#"$PWD/"}" >&2
        exit 1
    fi
}

rm -rf "$target/raw" "$target"/*.log
mkdir -p "$target/raw"
export RUSTC_BOOTSTRAP=1 LLVM_PROFILE_FILE=$target/raw/%m-%p.profraw
export RUSTFLAGS="-C instrument-coverage -Z coverage-options=branch"
measure tests --lib --tests
RUSTFLAGS+=" --cfg allot_steps"
# Without the largest, which counts every line a million times.
CARGO_PROFILE_DEV_OPT_LEVEL=1 measure schedules --test steps --test schedules \
    --test interrupted -- --skip a_thousand_waiters
"$profdata" merge --sparse --output "$target/all.profdata" "$target"/raw/*.profraw
# shellcheck disable=SC2046 # one word for each
"$cov" export --summary-only --instr-profile "$target/all.profdata" $(objects) \
    --sources src/core > "$target/summary.json" 2> /dev/null

# One line for each file and one for all.
sed 's/{"filename"/\n&/g; s/"totals"/\n&/' "$target/summary.json" | awk -v min="$lines_min" '
    function of(what, key, part) {
        part = $0
        if (!sub(".*\"" what "\":\\{", "", part)) return "-"
        sub("\\}.*", "", part)
        if (!sub(".*\"" key "\":", "", part)) return "-"
        sub(",.*", "", part)
        return part + 0
    }
    function row(name) {
        printf "%-16s %6d of %6d %7.2f %%   %6d of %6d %7.2f %%   %5d of %5d %7.2f %%\n", name,
            of("lines", "covered"), of("lines", "count"), of("lines", "percent"),
            of("regions", "covered"), of("regions", "count"), of("regions", "percent"),
            of("branches", "covered"), of("branches", "count"), of("branches", "percent")
    }
    BEGIN { printf "%-16s %25s   %25s   %23s\n", "src/core", "lines", "regions", "branches" }
    /^\{"filename"/ {
        name = $0
        sub("^\\{\"filename\":\"[^\"]*/", "", name)
        sub("\".*", "", name)
        row(name)
    }
    /^"totals"/ { row("all"); lines = of("lines", "percent") }
    END {
        if (lines + 0 < min) {
            printf "%.2f %% of the lines are run; at least %s %% should be\n", lines, min
            exit 1
        }
    }'
