#!/usr/bin/env bash
# Prints how many instructions each verb takes, counted by callgrind: the same on every run.
#
#   scripts/instructions.sh          all cases of benches/instructions.rs
#   scripts/instructions.sh NAME...  some of them
#   scripts/instructions.sh write    all, into the table of docs/PERFORMANCE.md
#
# Each case runs twice, for so many turns and for twice as many; what is printed is the difference
# for one turn, with the loop around it. A count says what changed, not how long it takes: an
# exchange counts as one instruction and takes as long as a hundred others.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    echo "skipped: instructions, there is no valgrind" >&2
    exit 0
fi

turns=10000
page=docs/PERFORMANCE.md
write=
if [ "${1:-}" = write ]; then
    write=yes
    shift
fi
program=$(cargo bench --locked --bench instructions --no-run --message-format=json 2> /dev/null |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
mapfile -t names < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else "$program"; fi)

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

count_all() {
    local name once twice
    for name in "${names[@]}"; do
        once=$(instructions "$name" "$turns")
        twice=$(instructions "$name" $((2 * turns)))
        printf "$1" "$name" $(((twice - once + turns / 2) / turns))
    done
}

if [ -z "$write" ]; then
    count_all '%-40s %6d\n'
    exit
fi

table=$(printf '| one turn, with its loop | instructions |\n|---|---|\n' && count_all '| %s | %d |\n')
awk -v table="$table" '
    /^<!-- written by scripts\/instructions.sh/ { print; print table; skipping = 1 }
    /^<!-- end -->/ { skipping = 0 }
    !skipping && !/^<!-- written by scripts\/instructions.sh/ { print }
' "$page" > "$page.new"
mv "$page.new" "$page"
