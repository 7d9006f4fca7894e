#!/usr/bin/env bash
# How much of src/core the library's own tests run: lines and branches of each file. Those
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

# What each program whose tests ran has of the core, with how often any of them ran it, as lcov
# says it. llvm-cov takes a function from the first program that it is told of, also where that has
# no use for it, and then counts it as never run: so it is told of them one by one.
ran() {
    local program
    sed -n 's/^ *Running .*(\(.*\))$/\1/p' "$target"/*.log | sort -u | while read -r program; do
        "$cov" export --format=lcov --instr-profile "$target/all.profdata" "$program" \
            --sources src/core 2> /dev/null
    done
}

# `FILE:LINE TIMES` of each line, and `FILE:LINE,BLOCK,BRANCH TIMES` of each branch.
counted() {
    ran | awk -F '[:,]' '
        function note(place, times) {
            if (!(place in most) || times + 0 > most[place]) most[place] = times + 0
        }
        /^SF:/ { core = sub(".*/src/core/", "src/core/", $2); name = $2 }
        core && /^DA:/ { note(name ":" $2, $3) }
        core && /^BRDA:/ { note(name ":" $2 "," $3 "," $4, $5) }
        END { for (place in most) print place, most[place] }' | sort -t : -k 1,1 -k 2,2n
}

if [ "${1:-}" = missing ]; then
    counted | awk '$2 == 0 && $1 !~ "," { print $1 }'
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

# One line for each file and one for all.
counted | awk -F '[: ]' -v min="$lines_min" '
    function row(name) {
        printf "%-16s %6d of %6d %7.2f %%   %5d of %5d %7.2f %%\n", name,
            run[name, "lines"], all[name, "lines"], percent(name, "lines"),
            run[name, "branches"], all[name, "branches"], percent(name, "branches")
    }
    function percent(name, what) {
        return all[name, what] ? 100 * run[name, what] / all[name, what] : 100
    }
    function count(name, what) {
        all[name, what]++
        run[name, what] += $3 > 0
    }
    BEGIN { printf "%-16s %25s   %23s\n", "src/core", "lines", "branches" }
    {
        sub(".*/", "", $1)
        if ($1 != last && last != "") row(last)
        last = $1
        what = $2 ~ "," ? "branches" : "lines"
        count($1, what)
        count("all", what)
    }
    END {
        row(last)
        row("all")
        if (percent("all", "lines") < min) {
            printf "%.2f %% of the lines are run; at least %s %% should be\n",
                percent("all", "lines"), min
            exit 1
        }
    }'
