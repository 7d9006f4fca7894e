#!/usr/bin/env bash
# Replays the recorded traces through the release binary and holds the figures against published
# ones. Prints a table for each question and exits 1 if any line fails.
#
#   scripts/replay-acceptance.sh [TRACES]      TRACES: ../shared/traces unless given
#
#   SIZES=1,10         percent of the footprint for the traces of keys
#   LRU_NEAR=0.005     how far lru may be from an exact LRU, at every point (P6: three times that)
#   LFU_BELOW=0.01     how far lfu may be below an LFU that forgets counts, at every point
#   PREFIX_NEAR=0.005  how far the prefix hit ratio may be from an exact LRU's
#   HYBRID_ABOVE=0.04  how far the mean of hybrid must be above that of LRU; not below ARC anyway
#   HYBRID_BELOW=0.015 how far hybrid may be below an exact LRU at any point
#   SPEED=0            requests per second that every trace of keys has to reach; 0: only shown
set -euo pipefail
cd "$(dirname "$0")/.."

traces=${1:-../shared/traces}
sizes=${SIZES:-1,10}
speed=${SPEED:-0}
if [ ! -d "$traces" ]; then
    echo "skipped: no recorded traces in $traces"
    exit 0
fi
traces=$(cd "$traces" && pwd)
reference=$traces/reference

cargo build --quiet --release -p allot
allot=${CARGO_TARGET_DIR:-target}/release/allot
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/runs"
failures=0

# runs NAME TRACE... -- OPTIONS...: one line per run, fields as in `columns`. The report is JSON
# with one key per line; the keys of a run stand four blanks deep, those of its waits six.
columns="policy capacity_bytes capacity_percent capacity_blocks slots requests granted denied hits
    hit_ratio prefix_hit_ratio load_seconds overcommit_bytes leaked_bytes guarantee_violations
    events_per_second peak_used_bytes conv_denied wait_max_s granted_at_once granted_after_wait
    gave_up wait_p50_s wait_p90_s wait_p99_s wait_longest_s estimates estimates_unknown
    estimate_ratio_p10 estimate_ratio_p50 estimate_ratio_p90"
runs() {
    local name=$1
    shift
    "$allot" replay "$@" --json >"$work/json"
    awk -v name="$name" -v columns="$columns" '
        BEGIN { n = split(columns, wanted, /[ \n]+/) }
        /^    "[a-z_]+": / {
            key = $1; gsub(/[":]/, "", key)
            value = $2; gsub(/[",]/, "", value)
            seen[key] = value
        }
        /^      "[a-z0-9_]+": / {
            key = $1; gsub(/[":]/, "", key)
            value = $2; gsub(/[",]/, "", value)
            if (key != "denied") seen[key] = value
        }
        /^        "(name|denied)": / {
            value = $2; gsub(/[",]/, "", value)
            if ($1 ~ /name/) tenant = value
            else if (tenant == "conv") seen["conv_denied"] = value
        }
        /^  }/ {
            line = name
            for (i = 1; i <= n; i++) line = line "\t" seen[wanted[i]]
            print line
            delete seen
        }' "$work/json" >>"$work/runs"
}

# table TITLE PROGRAM [NAME=VALUE...]: an awk program over the runs, or over the file FROM; it prints
# lines that end in "ok" or "FAIL".
table() {
    local title=$1 program=$2
    shift 2
    local options=()
    local option
    for option in "$@"; do options+=(-v "$option"); done
    printf '\n%s\n' "$title"
    awk -F'\t' "${options[@]}" "$program" "${FROM:-$work/runs}" | tee "$work/table"
    failures=$((failures + $(grep -c 'FAIL$' "$work/table" || true)))
}

keys() {
    runs "$1" "$traces/cache-keys/$2" --format "$3" --unit objects \
        --capacity-percent "$sizes" --policy lru,lfu,hybrid
}

keys arc_OLTP arc/OLTP.lis.gz keys-arc
keys arc_P3 arc/P3.lis.gz keys-arc
keys arc_P6 arc/P6.lis.gz keys-arc
keys caffeine_cloudphysics_w106 caffeine/w106.trace.xz keys-u32
keys caffeine_scarab_recs caffeine/scarab-recs.trace.xz keys-u64
keys cache2k_orm_busy caffeine/orm-busy.trace.xz keys-u32
keys cache2k_web07 caffeine/web07.trace.xz keys-u32
keys libcachesim_cloudPhysicsIO_objects libcachesim/cloudPhysicsIO.oracleGeneral.bin.gz \
    oracle-general
runs mooncake "$traces/mooncake-fast25/conversation_trace.jsonl.gz" --format mooncake \
    --capacity-blocks 45697,91395,137092,182790 --policy lru
runs lora "$traces/alibaba-genai-2026/lora_request_trace.until-20241203.csv.gz" \
    --format alibaba-lora --slots 4,8,16 --policy lru,hybrid
services=("conv=$traces/azure-llm-2023/conv.until-1855.csv.gz"
    "code=$traces/azure-llm-2023/code.until-1855.csv.gz" --format azure-llm)
runs azure "${services[@]}" --capacity 64GiB,16GiB
printf '%s\n' 'capacity = "16GiB"' \
    '[[tenants]]' 'name = "conv"' 'isolation = "hard"' 'guarantee = "12GiB"' 'limit = "12GiB"' \
    '[[tenants]]' 'name = "code"' 'isolation = "soft"' 'limit = "4GiB"' 'burst = "16GiB"' \
    >"$work/guarded.toml"
printf '%s\n' 'capacity = "16GiB"' \
    '[[tenants]]' 'name = "conv"' 'isolation = "none"' \
    '[[tenants]]' 'name = "code"' 'isolation = "none"' >"$work/open.toml"
for kind in guarded open; do
    runs "$kind" "${services[@]}" --config "$work/$kind.toml"
done

# Sizes at which many wait and most of them are served in the end.
runs mooncake_wait "$traces/mooncake-fast25/conversation_trace.jsonl.gz" --format mooncake \
    --capacity 96GiB,80GiB,64GiB,48GiB,32GiB --wait 30s
runs lora_wait "$traces/alibaba-genai-2026/lora_request_trace.until-20241203.csv.gz" \
    --format alibaba-lora --slots 2,3,4 --wait 30s

# tunes CAPACITY SEED: one line per search, costs on the part that was not tuned on.
: >"$work/tunes"
tunes() {
    "$allot" tune "${services[@]}" --capacity "$1" --seed "$2" --json >"$work/json"
    awk -v size="$1" -v seed="$2" '
        /^      "name": / { name = $2 " " $3; gsub(/[",]/, "", name); sub(/ $/, "", name) }
        /^        "total": / && !(name in cost) { total = $2; sub(/,/, "", total); cost[name] = total }
        /^  "evaluations": / { runs = $2; sub(/,/, "", runs) }
        /^  "proposed": / { proposed = $2; gsub(/[",]/, "", proposed) }
        END {
            printf "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", size, seed, runs, cost["no limits"],
                cost["even split"], cost["found"], proposed
        }' "$work/json" >>"$work/tunes"
}
for capacity in 8GiB 10GiB 12GiB 14GiB 16GiB; do
    for seed in 1 2; do tunes "$capacity" "$seed"; done
done

# What every awk program below begins with: a name for each column.
fields='BEGIN { n = split(columns, names, /[ \n]+/); for (i = 1; i <= n; i++) f[names[i]] = i + 1 }
    function verdict(good) { return good ? "ok" : "FAIL" }
    function off(a, b) { return a > b ? a - b : b - a }
    '
with="columns=${columns//$'\n'/ }"

# The reference as lookups: ratio[trace, percent, policy].
published='
    BEGIN {
        while ((getline line < reference) > 0) {
            split(line, c, ",")
            percent = c[2]; sub(/%/, "", percent)
            ratio[c[1], percent + 0, c[4]] = c[7]
            objects[c[1], percent + 0] = c[3]
        }
    }
    '

table "Keys, hit ratios: lru near the exact one, lfu not below, sizes as in the reference" \
    "$fields$published"'
    BEGIN {
        printf "%-36s %5s  %7s %7s  %7s %7s  %7s %7s %7s\n", "trace", "size",
            "lru", "exact", "lfu", "exact", "hybrid", "ARC", "S3FIFO"
    }
    (($1, $f["capacity_percent"] + 0, "LRU") in ratio) {
        key = $1 SUBSEP ($f["capacity_percent"] + 0)
        got[key, $f["policy"]] = $f["hit_ratio"]
        same[key] = $f["capacity_bytes"] == objects[key]
        if (!(key in known)) { known[key] = 1; order[++keys_n] = key }
    }
    END {
        for (i = 1; i <= keys_n; i++) {
            key = order[i]; split(key, part, SUBSEP)
            near = part[1] == "arc_P6" ? 3 * lru_near : lru_near
            good = same[key] && off(got[key, "lru"], ratio[key, "LRU"]) <= near &&
                got[key, "lfu"] >= ratio[key, "LFU"] - lfu_below &&
                got[key, "hybrid"] >= ratio[key, "LRU"] - hybrid_below
            printf "%-36s %4s%%  %.5f %.5f  %.5f %.5f  %.5f %.5f %.5f  %s\n", part[1], part[2],
                got[key, "lru"], ratio[key, "LRU"], got[key, "lfu"], ratio[key, "LFU"],
                got[key, "hybrid"], ratio[key, "ARC"], ratio[key, "S3FIFO"], verdict(good)
        }
    }' "$with" "reference=$reference/hit_ratios_objects.csv" \
    "lru_near=${LRU_NEAR:-0.005}" "lfu_below=${LFU_BELOW:-0.01}" \
    "hybrid_below=${HYBRID_BELOW:-0.015}"

table "Keys, means over all traces and sizes: hybrid well above LRU and not below ARC" "$fields$published"'
    (($1, $f["capacity_percent"] + 0, "LRU") in ratio) {
        key = $1 SUBSEP ($f["capacity_percent"] + 0)
        sum[$f["policy"]] += $f["hit_ratio"]
        if ($f["policy"] == "lru") {
            points++
            for (i = split("LRU LFU ARC S3FIFO", of, " "); i > 0; i--) {
                sum[of[i]] += ratio[key, of[i]]
            }
        }
    }
    END {
        of_n = split("lru lfu hybrid LRU LFU ARC S3FIFO", of, " ")
        for (i = 1; i <= of_n; i++) {
            mark = ""
            good = sum["hybrid"] >= sum["ARC"] && sum["hybrid"] >= sum["LRU"] + above * points
            if (of[i] == "hybrid") mark = "  " verdict(good)
            printf "%-8s %.5f%s\n", of[i], sum[of[i]] / points, mark
        }
    }' "$with" "reference=$reference/hit_ratios_objects.csv" "above=${HYBRID_ABOVE:-0.04}"

table "Mooncake under lru: prefix hit ratio near an exact LRU's" "$fields"'
    BEGIN {
        split("0.3536 0.3634 0.3660 0.3664", exact, " ")
        printf "%8s  %8s %8s %8s\n", "blocks", "hits", "prefix", "exact"
    }
    $1 == "mooncake" {
        good = off($f["prefix_hit_ratio"], exact[++row]) <= near && $f["requests"] == 12031
        printf "%8d  %.6f %.6f %.6f  %s\n", $f["capacity_blocks"], $f["hit_ratio"],
            $f["prefix_hit_ratio"], exact[row], verdict(good)
    }' "$with" "near=${PREFIX_NEAR:-0.005}"

table "Models in slots: lru exact, hybrid loads for no longer than lru" "$fields"'
    BEGIN {
        while ((getline line < reference) > 0) {
            split(line, c, ",")
            if (c[3] == "LRU") exact[c[2]] = c[5]
        }
        printf "%5s %-7s  %7s %7s  %12s %8s\n", "slots", "policy", "hits", "exact", "loading s",
            "denied"
    }
    $1 == "lora" {
        if ($f["policy"] == "lru") {
            loading = $f["load_seconds"]; hits = exact[$f["slots"]]
            good = $f["hits"] == hits
        } else {
            hits = "-"
            good = $f["load_seconds"] <= loading
        }
        printf "%5d %-7s  %7d %7s  %12.1f %8d  %s\n", $f["slots"], $f["policy"], $f["hits"], hits,
            $f["load_seconds"], $f["denied"], verdict(good && $f["denied"] == 0)
    }' "$with" "reference=$reference/genai_model_slots.csv"

table "Two services in one memory: nobody denied where there is room" "$fields"'
    BEGIN { printf "%14s  %8s %8s %8s %14s\n", "capacity", "requests", "granted", "denied", "peak" }
    $1 == "azure" {
        has_room = $f["capacity_bytes"] > 2 ^ 35
        good = $f["requests"] == 20927 && (has_room ? $f["denied"] == 0 : $f["denied"] > 0)
        printf "%14.0f  %8d %8d %8d %14.0f  %s\n", $f["capacity_bytes"], $f["requests"],
            $f["granted"], $f["denied"], $f["peak_used_bytes"], verdict(good)
    }' "$with"

table "The same under 16 GiB: whoever has a guarantee is never denied, whatever the other does" \
    "$fields"'
    BEGIN { printf "%-8s  %12s  %12s  %12s\n", "", "denied", "of them conv", "broken" }
    $1 == "guarded" || $1 == "open" {
        good = $1 == "open" || $f["conv_denied"] == 0 && $f["denied"] > 0
        good = good && $f["requests"] == 20927 && $f["conv_denied"] != ""
        printf "%-8s  %12d  %12d  %12d  %s\n", $1, $f["denied"], $f["conv_denied"],
            $f["guarantee_violations"], verdict(good)
    }' "$with"

FROM=$work/tunes table "Tuned limits: weighted denials where nothing was tuned, below an even split" '
    function verdict(good) { return good ? "ok" : "FAIL" }
    BEGIN {
        printf "%-8s %4s  %5s  %9s %10s %7s\n", "capacity", "seed", "runs", "no limits",
            "even split", "found"
    }
    {
        good = $5 > 0 && $6 != "" && $6 + 0 < $5 + 0 && $7 == "found"
        printf "%-8s %4d  %5d  %9d %10d %7d  %s\n", $1, $2, $3, $4, $5, $6, verdict(good)
    }'

table "Requests that wait for up to 30 s: who is served, and estimate / real wait (0.5 to 2)" \
    "$fields"'
    BEGIN {
        printf "%-14s %6s  %7s %7s %7s  %6s %6s %6s %7s  %7s  %5s %6s %5s\n", "", "size",
            "at once", "later", "gave up", "p50 s", "p90 s", "p99 s", "longest", "unknown", "p10",
            "median", "p90"
    }
    $1 ~ /_wait$/ {
        median = $f["estimate_ratio_p50"]; last = $f["wait_longest_s"]
        size = $f["slots"] == "null" ? $f["capacity_bytes"] / 2 ^ 30 " GiB" : $f["slots"]
        asked = $f["granted_at_once"] + $f["granted_after_wait"] + $f["gave_up"]
        good = $f["overcommit_bytes"] + $f["leaked_bytes"] + $f["guarantee_violations"] == 0
        good = good && asked == $f["requests"] && $f["granted_after_wait"] > 1000
        good = good && last != "" && last != "null" && last + 0 <= $f["wait_max_s"] + 0
        good = good && $f["wait_p50_s"] > 0
        good = good && median >= 0.5 && median <= 2
        printf "%-14s %6s  %7d %7d %7d  %6.2f %6.2f %6.2f %7.2f  %7d  %5.2f %6.2f %5.2f  %s\n",
            $1, size, $f["granted_at_once"], $f["granted_after_wait"], $f["gave_up"],
            $f["wait_p50_s"], $f["wait_p90_s"], $f["wait_p99_s"], last, $f["estimates_unknown"],
            $f["estimate_ratio_p10"], median, $f["estimate_ratio_p90"], verdict(good)
    }' "$with"

table "The ledger of every run: nothing over-committed, leaked or broken" "$fields"'
    {
        runs++
        over += $f["overcommit_bytes"]; leaked += $f["leaked_bytes"]
        broken += $f["guarantee_violations"]
    }
    END {
        printf "%d runs: over-committed %d, leaked %d, guarantees broken %d  %s\n", runs, over,
            leaked, broken, verdict(over + leaked + broken == 0)
    }' "$with"

table "Speed, in requests per second" "$fields"'
    $1 ~ /^(arc|caffeine|cache2k|libcachesim)_/ {
        good = !speed || $f["events_per_second"] >= speed
        printf "%-36s %4s%% %-7s %10.0f  %s\n", $1, $f["capacity_percent"] + 0, $f["policy"],
            $f["events_per_second"], verdict(good)
    }' "$with" "speed=$speed"

echo
if [ "$failures" -gt 0 ]; then
    echo "$failures lines fail"
    exit 1
fi
echo "every line holds"
