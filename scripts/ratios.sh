#!/usr/bin/env bash
# What the benches measured, each beside the bare pair (one fetch_add and fetch_sub) of its own run.
#
#   scripts/ratios.sh                  prints what target/criterion has
#   scripts/ratios.sh run [NAME ...]   runs benches first, and prints those: all, or what is named,
#                                      as `evict`, or `evict/lru` for what begins so
#
#   median       ns of one iteration, and the interval its median is in with a confidence of 95 %
#   / bare       how many bare pairs of one thread take as long
#   / contended  the same with as many threads at the bare pairs, for what many threads do together
#   ~            before a ratio: one of its two intervals is wider than 5 % of the median. Something
#                else was at work on the machine: run it again
#
# A bench measures the bare pair before anything else, whatever is filtered. So a result that is
# older than the bare pair of its group is of another run, and is not shown, which is said.
#
# Needs python3, which reads what criterion wrote. Where it is missing one line says "skipped: ..."
# and the answer is 0. Nothing to print answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v python3 > /dev/null; then
    echo "skipped: ratios, there is no python3 to read criterion's results with"
    exit 0
fi

# The benches that measure the bare pair, in the order of their names.
benches() {
    grep -l '^mod bare_pair;$' benches/*.rs | sed 's|^benches/||; s|\.rs$||'
}

# Each bench runs once, for all that is named of it: a second run would have another bare pair.
run() {
    local bench name starts names=("$@")
    for name in "${names[@]}"; do
        if ! benches | grep -qxF -- "${name%%/*}"; then
            echo "there is no bench \`${name%%/*}\` among:" $(benches) >&2
            exit 2
        fi
    done
    shown=($(printf '%s\n' "${names[@]%%/*}" | sort -u))
    for bench in "${shown[@]}"; do
        starts=
        for name in "${names[@]}"; do
            [ "${name%%/*}" != "$bench" ] || starts+="${starts:+|}$name"
        done
        cargo bench --quiet --locked --bench "$bench" -- "^($starts)"
    done
}

# The groups to print; none: all there are.
shown=()
case "${1:-print} $#" in
'print 0') ;;
'run 1') run $(benches) ;;
'run '*) run "${@:2}" ;;
*)
    sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0" >&2
    exit 2
    ;;
esac

python3 - "${CRITERION_HOME:-${CARGO_TARGET_DIR:-target}/criterion}" ${shown[@]+"${shown[@]}"} << 'END'
import collections
import json
import pathlib
import signal
import sys

# Whoever reads the table may have seen enough.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
BARE = "bare pair"
SPREAD_MAX = 0.05


class Result:
    def __init__(self, file):
        names = json.loads(file.read_text())
        self.id, self.group = names["full_id"], names["group_id"]
        self.what, self.threads = names["function_id"], names["value_str"]
        estimates = file.with_name("estimates.json")
        # Written once all is measured, so it tells the run apart.
        self.written = estimates.stat().st_mtime_ns
        median = json.loads(estimates.read_text())["median"]
        self.ns = median["point_estimate"]
        interval = median["confidence_interval"]
        self.low, self.high = interval["lower_bound"], interval["upper_bound"]


def figure(ns):
    return f"{ns:,.1f}" if ns < 1_000 else f"{ns:,.0f}"


def ratio(result, other):
    if not other:
        return ""
    spreads = any(one.high - one.low > SPREAD_MAX * one.ns for one in (result, other))
    return f"{'~' if spreads else ''}{result.ns / other.ns:.2f}"


folder, shown = pathlib.Path(sys.argv[1]), sys.argv[2:]
results = map(Result, folder.rglob("new/benchmark.json"))
results = [result for result in results if not shown or result.group in shown]
results.sort(key=lambda result: (result.group, result.written))
bare = {(result.group, result.threads): result for result in results if result.what == BARE}
rows, older, alone = [], collections.Counter(), 0
for result in results:
    own = bare.get((result.group, None))
    if own is None:
        alone += 1
    elif result.written < own.written:
        older[result.group] += 1
    else:
        contended = bare.get((result.group, result.threads)) if result.threads else None
        if contended and contended.written < own.written:
            contended = None
        interval = f"{figure(result.low)} .. {figure(result.high)}"
        ratios = ratio(result, own), ratio(result, contended)
        rows.append((result.id, figure(result.ns), interval, *ratios))

if rows:
    table = [("", "median ns", "95 %", "/ bare", "/ contended")] + rows
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for number, row in enumerate(table):
        if number > 0 and row[0].endswith("/" + BARE):
            print()
        cells = [row[0].ljust(widths[0])] + [row[c].rjust(widths[c]) for c in range(1, 5)]
        print("  ".join(cells).rstrip())
for group, count in older.items():
    print(f"not shown: {count} of {group}, older than its bare pair", file=sys.stderr)
if alone:
    print(f"not shown: {alone} that have no bare pair", file=sys.stderr)
if not rows:
    print(f"no results in {folder}: scripts/ratios.sh run", file=sys.stderr)
    sys.exit(1)
END
