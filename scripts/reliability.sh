#!/usr/bin/env bash
# Writes the figures of docs/RELIABILITY.md: what the steps of `.ci/release` printed when each was
# run last (target/evidence), with its day and its commit. A step that was skipped or failed says so
# in its row. Of a step that was not run here the row stays as it is, unless src/core has changed
# since its commit, comments and the tests at the end of its files apart: then it says that.
#
#   scripts/reliability.sh
set -euo pipefail
cd "$(dirname "$0")/.."

page=docs/RELIABILITY.md
evidence=target/evidence
begin='<!-- reliability.sh writes from here -->'
end='<!-- to here -->'

# The last word of a line of a log that begins like this.
last_word() {
    sed -n "s/^$2 .* \{0,1\}\([^ ]*\)\$/\1/p" "$evidence/$1.log" | tail -n 1
}

# A number with a comma before each three digits.
grouped() {
    sed ':again; s/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/; t again' <<< "$1"
}

# What a schedule run printed beside a name.
schedules() {
    sed -n "s/^$1  *\(.*\)\$/\1/p" "$evidence/schedules.log" | tail -n 1
}

say_loom() {
    awk -F '\t' '
        $1 == "model" { models[$2 FS $3]; executions += $6 }
        $1 == "control" { controls[$2 FS $3] }
        END { print length(models), executions, length(controls) }' "$evidence/loom.log" | {
        read -r models executions controls
        echo "$(grouped "$models") models, each both ways where roles were exchanged," \
            "$(grouped "$executions") executions; $controls controls, each caught"
    }
}

say_schedules() {
    echo "$(grouped "$(schedules schedules)") schedules," \
        "$(grouped "$(schedules 'calls checked')") calls checked;" \
        "$(schedules 'histories in which calls overlap') of the histories overlap;" \
        "given up at random $(schedules 'calls given up, schedules at random')"
}

say_mistakes() {
    echo "$(grep -c '^| `' "$evidence/mistakes.log") planted, each found"
}

# Sums over the objects of all parts.
say_stress() {
    grep -o '"operations": *[0-9]*' "$evidence/stress.log" | awk '
        { operations += $2; parts++ }
        END { print operations, parts }' | {
        read -r operations parts
        echo "$(grouped "$operations") calls in $parts parts, not a byte lost"
    }
}

say_asan() {
    say_tests asan
}

say_tsan() {
    say_tests tsan
    sed -n 's/^no report in .* of /; /; s/^\(no report in [0-9]* s of eight threads\).*/\1/p' \
        "$evidence/tsan.log"
}

say_miri() {
    say_tests miri
}

# Tests that passed, of all test programs of a log.
say_tests() {
    awk '/^test result: ok\./ { passed += $4 } END { printf "%d tests of the core\n", passed }' \
        "$evidence/$1.log"
}

say_fuzz() {
    awk '
        $1 ~ /^[a-z_]+$/ && $2 ~ /^[0-9]+$/ && $NF == "0" { targets++; runs += $2 }
        END { print targets, runs }' "$evidence/fuzz.log" | {
        read -r targets runs
        echo "$targets targets, $(grouped "$runs") inputs, none crashed; the planted bug was found"
    }
}

say_coverage() {
    awk '$1 == "all" { print $5 " % of lines, " $10 " % of branches" }' "$evidence/coverage.log"
}

# The core without its tests and comments, of a commit or, without one, as it is here.
core() {
    local file
    git ls-files src/core | while read -r file; do
        if [ $# -eq 0 ]; then cat "$file"; else git show "$1:$file" 2> /dev/null || true; fi |
            sed '/^#\[cfg(test)\]$/,$d; /^ *\/\//d'
    done
}

# The row of an earlier run.
kept() {
    local what=$1 step=$2 row commit
    local changed='src/core has changed since: '
    row=$(grep -F "| \`.ci/release $step\` |" "$page" || true)
    commit=$(sed -n 's/.*| `\([0-9a-f]\{12\}\)` | `[^`]*` |$/\1/p' <<< "$row")
    if [ -z "$commit" ]; then
        printf '| %s | not run | - | `-` | `.ci/release %s` |\n' "$what" "$step"
    elif cmp --quiet <(core "$commit") <(core); then
        printf '%s\n' "$row"
    else
        row=${row/"$changed"/}
        printf '%s\n' "${row/"| $what | "/"| $what | $changed"}"
    fi
}

# What is measured, the step, how it is run again.
row() {
    local what=$1 step=$2 figures result day commit
    local log=$evidence/$step.log
    if [ ! -e "$log" ]; then
        kept "$what" "$step"
        return
    fi
    day=$(sed -n 's/^day //p' "$log")
    commit=$(sed -n 's/^commit //p' "$log")
    result=$(sed -n 's/^result //p' "$log")
    case $result in
    passed) figures=$("say_$step" | tr '\n' ' ' | sed 's/ *$//') ;;
    skipped) figures=$(grep -m 1 '^skipped: ' "$log") ;;
    *) figures=$result ;;
    esac
    printf '| %s | %s | %s | `%s` | `.ci/release %s` |\n' "$what" "$figures" "$day" "$commit" "$step"
}

# Its page has what was measured, file by file, each of its own state.
mutants() {
    awk -F ' *[|] *' '
        /^\| `.*not measured/ { left++ }
        /^\| [0-9]+ files / {
            printf "| mutants of `src/core` | %s %% of %d in %s noticed", $10, $4, $2
            if (left) printf "; %d files not measured", left
            print " ([MUTANTS.md](MUTANTS.md)) | - | - | `.ci/release mutants` |"
        }' docs/MUTANTS.md
}

figures() {
    echo "| what | how much | day | commit | again by |"
    echo "|---|---|---|---|---|"
    row "every order of small models" loom
    row "whole calls against a specification" schedules
    row "deliberate mistakes" mistakes
    row "every verb at once" stress
    row "AddressSanitizer" asan
    row "ThreadSanitizer" tsan
    row "Miri" miri
    row "fuzzing" fuzz
    row "coverage of \`src/core\`" coverage
    mutants
    if [ -e "$evidence/schedules.log" ]; then
        echo
        bounds
    elif grep -q '^The most own steps' "$page"; then
        echo
        sed -n '/^The most own steps/,/^<!-- to here/{/^<!-- to here/d; p}' "$page"
    fi
}

# What the schedules saw beside what the core promises.
bounds() {
    echo "The most own steps that a call took in any of those schedules, beside the bound that"
    echo "\`src/core/steps.rs\` sums up for the tables of these programs:"
    echo
    echo "| verb | most seen | bound |"
    echo "|---|---|---|"
    sed -n 's/^most own steps of a \([a-z_]*\)  *\([0-9]*\) of \([0-9]*\)$/\1 \2 \3/p' \
        "$evidence/schedules.log" | while read -r verb most bound; do
        echo "| $verb | $(grouped "$most") | $(grouped "$bound") |"
    done
}

text=$(
    sed "/^$begin\$/q" "$page"
    figures
    sed -n "/^$end\$/,\$p" "$page"
)
printf '%s\n' "$text" > "$page"
