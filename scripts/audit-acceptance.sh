#!/usr/bin/env bash
# Records the recorded traces anew as audit logs, proves the logs, makes every call of them again,
# and asks them "what if". Prints a table for each question and exits 1 if any line fails.
#
#   scripts/audit-acceptance.sh [TRACES]    TRACES: ../shared/traces unless given
#
#   KILLS=1000    writers that are killed while they write
set -euo pipefail
cd "$(dirname "$0")/.."

traces=${1:-../shared/traces}
kills=${KILLS:-1000}
if [ ! -d "$traces" ]; then
    echo "skipped: no recorded traces in $traces"
    exit 0
fi
traces=$(cd "$traces" && pwd)

cargo build --quiet --release -p allot
allot=${CARGO_TARGET_DIR:-target}/release/allot
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# held WHAT: the end of a line, `ok` or `FAIL`, which is counted.
held() {
    if [ "$1" = ok ]; then
        echo "  ok"
    else
        failures=$((failures + 1))
        echo "  FAIL"
    fi
}

# field NAME FILE: the first value of a key of a JSON report.
field() {
    sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" "$2" | head -n 1
}

# again NAME TRACE... OPTIONS...: records, proves, makes again; one line.
again() {
    local name=$1 log=$work/$1 good=ok proof=0
    shift
    "$allot" replay "$@" --record "$log" --json >"$work/run"
    "$allot" audit verify "$log" --key "$log.key" >"$work/proof" || proof=$?
    "$allot" replay "$log" --format audit --json >"$work/again"
    [ "$proof" -eq 0 ] && [ "$(field shape "$work/again")" = in_turn ] &&
        [ "$(field differing "$work/again")" = 0 ] && [ "$(field answers "$work/again")" -gt 1000 ] ||
        good=no
    printf '%-16s %10s %10s %10s %10s  %6s' "$name" "$(field records "$work/again")" \
        "$(field calls "$work/again")" "$(field answers "$work/again")" \
        "$(field differing "$work/again")" "$proof"
    held "$good"
    rm -rf "$log" "$log.key" "$log.key.head"
}

# figures FILE SIDE: name, grants, denials, evictions, peak and seconds of loading of each tenant of
# a report, in order of names; of one side of a "what if".
figures() {
    awk -v side="$2" '
        /^ *"name": / { name = $2; gsub(/[",]/, "", name) }
        /^ *"(recorded|before|after)": / { at = $1; gsub(/[":]/, "", at) }
        /^ *"(granted|denied|evicted|peak_used_bytes|load_seconds)": / {
            key = $1; value = $2; gsub(/[":]/, "", key); gsub(/[",]/, "", value)
            if (value == "null") value = 0
            if (name != "" && (side == "" || at == side)) seen[name, key] = value + 0
            if (name != "") names[name] = 1
        }
        END {
            for (name in names) if (name != "all")
                print name, seen[name, "granted"], seen[name, "denied"], seen[name, "evicted"],
                    seen[name, "peak_used_bytes"], seen[name, "load_seconds"]
        }' "$1" | sort
}

# what_if NAME BEFORE AFTER TRACE... OPTIONS...: recorded under one configuration, asked about the
# other, and held against a fresh replay under that.
what_if() {
    local name=$1 before=$2 after=$3 log=$work/$1 good=ok
    shift 3
    "$allot" replay "$@" --config "$before" --record "$log" --json >"$work/run"
    "$allot" replay "$log" --format audit --what-if "$after"
    "$allot" replay "$log" --format audit --what-if "$after" --json >"$work/asked"
    "$allot" replay "$@" --config "$after" --json >"$work/fresh"
    figures "$work/asked" after >"$work/after"
    figures "$work/asked" before >"$work/before"
    figures "$work/fresh" "" >"$work/fresh.figures"
    cmp -s "$work/after" "$work/fresh.figures" || good=no
    ! cmp -s "$work/after" "$work/before" || good=no
    [ "$(field apart "$work/asked")" = 0 ] || good=no
    printf '%-10s %6d tenants, as in a fresh replay' "$name" "$(wc -l <"$work/fresh.figures")"
    held "$good"
    echo
    rm -rf "$log" "$log.key" "$log.key.head"
}

keys=$traces/cache-keys
lora=("$traces/alibaba-genai-2026/lora_request_trace.until-20241203.csv.gz" --format alibaba-lora)
prompts=("$traces/mooncake-fast25/conversation_trace.jsonl.gz" --format mooncake)
services=("conv=$traces/azure-llm-2023/conv.until-1855.csv.gz"
    "code=$traces/azure-llm-2023/code.until-1855.csv.gz" --format azure-llm)
{
    printf 'capacity = "32GiB"\n[[tenants]]\nname = "conv"\nisolation = "hard"\n'
    printf 'guarantee = "12GiB"\nlimit = "12GiB"\n[[tenants]]\nname = "code"\n'
    printf 'limit = "4GiB"\nburst = "6GiB"\n'
} >"$work/short.toml"
sed 's/burst = .*/burst = "12GiB"/' "$work/short.toml" >"$work/long.toml"
{
    printf 'capacity = "64GiB"\n[defaults]\nisolation = "soft"\n'
    printf '[[tenants]]\nname = "base-models"\nguarantee = "16GiB"\n'
} >"$work/less.toml"
sed 's/guarantee = .*/guarantee = "40GiB"/' "$work/less.toml" >"$work/more.toml"

echo "Recorded, proved (exit code) and made again, call by call"
printf '%-16s %10s %10s %10s %10s  %6s\n' log records calls same different proof
again keys-arc "$keys/arc/OLTP.lis.gz" --format keys-arc --capacity-percent 1
again keys-u32 "$keys/caffeine/w106.trace.xz" --format keys-u32 --capacity-percent 10 --policy lfu
again keys-u64 "$keys/caffeine/scarab-recs.trace.xz" --format keys-u64 --capacity-percent 1 \
    --policy lru
again keys-sized "$keys/caffeine/adaptsize-request.trace.xz" --format keys-sized \
    --capacity-percent 10
again oracle-general "$keys/libcachesim/cloudPhysicsIO.oracleGeneral.bin.gz" \
    --format oracle-general --capacity-percent 1
again mooncake "${prompts[@]}" --capacity-blocks 45697 --policy lru
again mooncake-wait "${prompts[@]}" --capacity 64GiB --wait 30s
again azure-llm "${services[@]}" --capacity 16GiB
again azure-limits "${services[@]}" --config "$work/short.toml"
again alibaba-lora "${lora[@]}" --slots 4
again lora-wait "${lora[@]}" --slots 3 --wait 30s
awk 'BEGIN {
    srand(1); print "time_ms,tenant,allocation_type,bytes,duration_ms,key"
    for (i = 0; i < 20000; i++) {
        kind = rand() < .5 ? "inference," (1 + int(rand() * 4)) "000000000," int(rand() * 90) "," \
            : "cache,1000000000,," int(rand() * 60)
        print i "," (rand() < .5 ? "conv" : "code") "," kind
    }
}' >"$work/table.csv"
again csv "$work/table.csv" --format csv --config "$work/short.toml"

printf '\nWhat if\n\n'
what_if azure "$work/short.toml" "$work/long.toml" "${services[@]}"
what_if lora "$work/less.toml" "$work/more.toml" "${lora[@]}"

echo "Tampered with at random, and killed $kills times while it was written"
tests() {
    local good=ok
    "$@" >"$work/tests" 2>&1 || good=no
    grep -q ' 1 passed' "$work/tests" || good=no
    printf '%s, %s' "${*: -1}" "$(sed -n 's/.*finished in/in/p' "$work/tests" | head -n 1)"
    held "$good"
}
tests cargo test --quiet -p allotment --test audit -- every_tampering_is_found
ALLOTMENT_AUDIT_KILLS=$kills tests cargo test --quiet -p allotment --test audit -- \
    killed_writers_lose_nothing_that_was_announced

echo
if [ "$failures" -gt 0 ]; then
    echo "$failures lines fail"
    exit 1
fi
echo "every line holds"
