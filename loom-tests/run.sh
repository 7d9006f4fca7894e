#!/usr/bin/env bash
# Runs the loom models: `quick` (each within its bound of preemptions, for every change) or `full`
# (ALLOT_LOOM=full: wider bounds, for changes of the core). More arguments go to the test programs.
# `table` writes what is on record into docs/MODELS.md, of each model the last `full` or else the
# last `quick`, and fails if a file of the core has neither a model nor a reason there.
#
#   loom-tests/run.sh quick            all models and controls
#   loom-tests/run.sh full             the same within wider bounds, then the table
#   loom-tests/run.sh full account     those with `account` in their name
#   loom-tests/run.sh table            the table again
#
# Optimised, because there are many executions; with assertions, because they are the models' point.
set -euo pipefail
cd "$(dirname "$0")/.."

records=target/loom/records
page=docs/MODELS.md

# Rows of a kind (model or control) on record, the last of each name, sorted: both ways round are
# one, and what `full` found comes after what `quick` did. Fields: kind, name, claim, threads,
# bound, executions, seconds.
rows() {
    awk -F '\t' -v kind="$1" '
        $1 == kind { last[$2 "\t" $3] = $0 }
        END {
            for (row in last) {
                split(last[row], field, "\t")
                name = field[2]; claim = field[3]
                sub(/, roles exchanged$/, "", name); sub(/, roles exchanged$/, "", claim)
                at = name "\t" claim
                threads[at] = field[4]
                if (!(at in bound) || field[5] < bound[at]) bound[at] = field[5]
                executions[at] += field[6]; seconds[at] += field[7]
            }
            for (at in threads)
                printf "%s\t%s\t%s\t%d\t%.1f\n",
                    at, threads[at], bound[at], executions[at], seconds[at]
        }' <(cat "$records/quick" "$records/full" 2> /dev/null) | sort
}

# The tables, as they stand between the marks of the page.
tables() {
    rows model | awk -F '\t' '
        { models++; seconds += $6; complete += $4 == "none"
          if ($3 == 2) { two++; two_complete += $4 == "none" }
          if ($3 > 2) { three++; three_bound[$4]++ } }
        END {
            printf "%d models: %d of two threads, %d of them without a bound; %d of three or four",
                models, two, two_complete, three
            printf ", %d without a bound, %d within 3 and %d within 2 preemptions",
                three_bound["none"], three_bound["3"], three_bound["2"]
            printf ". %d minutes of one core.\n\n", (seconds + 59) / 60
        }'
    echo "| file | claim | threads | bound | executions | seconds |"
    echo "|---|---|---|---|---|---|"
    rows model | awk -F '\t' '{
        split($1, name, "::"); gsub("_", " ", name[2])
        printf "| `%s` | %s | %s | %s | %s | %s |\n", name[1], name[2], $3, $4, $5, $6
    }'
    echo
    rows control | awk 'END { printf "%d controls, each caught after so many executions:\n\n", NR }'
    echo "| mistake | caught by | executions |"
    echo "|---|---|---|"
    rows control | awk -F '\t' '{
        gsub("_", " ", $1); sub("::", ": ", $1); sub("::", ": ", $2); gsub("_", " ", $2)
        printf "| %s | %s | %s |\n", $1, $2, $5
    }'
}

write_table() {
    if [ ! -e "$records" ]; then
        echo "nothing is on record in $records: run loom-tests/run.sh full first" >&2
        exit 1
    fi
    local begin='<!-- run.sh writes from here -->' text
    local end='<!-- to here -->' file name missing=()
    text=$(
        sed "/^$begin\$/q" "$page"
        tables
        sed -n "/^$end\$/,\$p" "$page"
    )
    printf '%s\n' "$text" > "$page"
    for file in src/core/*.rs; do
        name=$(basename "$file" .rs)
        grep -q "^| \`$name\` |" "$page" || missing+=("$name")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "$page: no model and no reason for ${missing[*]}" >&2
        exit 1
    fi
}

mode=${1:-}
case $mode in
quick) unset ALLOT_LOOM ;;
full) export ALLOT_LOOM=full ;;
table)
    write_table
    exit
    ;;
*)
    echo "usage: loom-tests/run.sh quick|full [test arguments], or table" >&2
    exit 2
    ;;
esac
shift

if ! compgen -G "loom-tests/tests/*.rs" > /dev/null; then
    echo "skipped: loom, there are no models in loom-tests/tests"
    exit 0
fi

export RUSTFLAGS="${RUSTFLAGS:-} --cfg allot_loom"
export CARGO_TARGET_DIR=target/loom
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
export ALLOT_LOOM_RECORD="$PWD/$records/$mode"
mkdir -p "$records"
# What is run again in part replaces that part.
[ $# -gt 0 ] || rm -f "$ALLOT_LOOM_RECORD"
cargo test --locked --package loom-tests --release -- --nocapture "$@"
[ "$mode" = quick ] || write_table
