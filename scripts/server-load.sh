#!/usr/bin/env bash
# What `allot serve` does under load, and what it takes while nothing is asked of it.
#
#   scripts/server-load.sh            all of it, about two minutes
#   scripts/server-load.sh PART ...   some of: pairs listeners deaf idle
#
#   pairs       64 connections ask for memory and give it back: pairs per second, p99, and whether
#               anything is held or counted wrong afterwards
#   listeners   the same in rounds, every second one while 1,000 listen to what happens: slower by
#               less than 10 %
#   deaf        the same while one listens and never reads: it is cut off
#   idle        10,000 tenants and no request for 30 s: at most 0.1 % of a core, and 30 MB
#
# Server and load run on this machine and share its cores: figures are of both together. A bar that
# is missed is said, and answers 1. Needs Linux for `idle`, which reads /proc.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=64 seconds=4 listeners=1000 rounds=6 tenants=10000 idle_seconds=30
slower_percent_max=10 cpu_percent_max=0.1 resident_mb_max=30

case "$*" in
*-*)
    sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0" >&2
    exit 2
    ;;
esac
parts=("$@")
[ $# -gt 0 ] || parts=(pairs listeners deaf idle)

cargo build --quiet --locked --release -p allot --features serve
cargo build --quiet --locked --release -p allotment-server --example load
target=${CARGO_TARGET_DIR:-$PWD/target}
scratch=$target/server-load
rm -rf "$scratch"
mkdir -p "$scratch"

server=
end() {
    [ -z "$server" ] || { kill "$server" && wait "$server" || true; }
    server=
}
trap end EXIT

# Starts a server, and waits until it says where it listens.
begin() {
    (cd "$scratch" && exec "$target/release/allot" serve --listen 127.0.0.1:0 "$@") \
        > "$scratch/said" &
    server=$!
    for _ in $(seq 100); do
        address=$(sed -n 's|.* http://||p' "$scratch/said" | head -n 1)
        [ -z "$address" ] || return 0
        sleep 0.1
    done
    echo "the server does not say where it listens" >&2
    exit 2
}

load() {
    "$target/release/examples/load" "$address" "$scratch/allot.token" "$@"
}

missed=0
miss() {
    echo "missed: $1"
    missed=1
}

pairs() {
    echo "== $connections connections ask and give back, $seconds s"
    load pairs "$connections" "$seconds" || miss "something failed, or is still held"
}

listeners() {
    echo "== the same in $rounds rounds alone and $rounds beside $listeners listeners"
    load listeners "$connections" "$seconds" "$listeners" "$rounds" > "$scratch/rounds" ||
        miss "something failed, or is still held"
    cat "$scratch/rounds"
    sed -n 's/^medians: .* \([-+0-9.]*\) %$/\1/p' "$scratch/rounds" |
        awk -v max="$slower_percent_max" '{ exit !($1 > -max) }' ||
        miss "slower by $slower_percent_max % or more while $listeners listen"
}

deaf() {
    echo "== the same while one listens and never reads, $((seconds + 12)) s"
    load deaf "$connections" "$((seconds + 12))" | tee "$scratch/deaf" || miss "something failed"
    grep -q "cut off" "$scratch/deaf" || miss "who never reads is not cut off"
}

# Clock ticks of a process so far.
ticks() {
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

idle() {
    if [ ! -r /proc/self/stat ]; then
        echo "skipped: idle, there is no /proc"
        return
    fi
    echo "== $tenants tenants, nothing asked for $idle_seconds s"
    load tenants "$tenants"
    local before after
    sleep 2
    before=$(ticks "$server")
    sleep "$idle_seconds"
    after=$(ticks "$server")
    awk -v ticks=$((after - before)) -v per=$(getconf CLK_TCK) -v time="$idle_seconds" \
        -v max="$cpu_percent_max" 'BEGIN {
            share = 100 * ticks / per / time
            printf "takes %.3f %% of a core\n", share
            exit !(share <= max)
        }' || miss "more than $cpu_percent_max % of a core"
    awk -v max="$resident_mb_max" '/^VmRSS:/ {
            printf "holds %.1f MB\n", $2 * 1024 / 1e6
            exit !($2 * 1024 / 1e6 <= max)
        }' "/proc/$server/status" || miss "more than $resident_mb_max MB"
}

sixteen=$scratch/sixteen.toml
{
    echo 'capacity = "1GiB"'
    for number in $(seq 0 15); do
        printf '[[tenants]]\nname = "t%s"\n' "$number"
    done
} > "$sixteen"

for part in "${parts[@]}"; do
    case $part in
    pairs | listeners | deaf)
        begin --config "$sixteen"
        "$part"
        ;;
    idle)
        begin
        idle
        ;;
    *)
        echo "there is no part \`$part\`: pairs, listeners, deaf or idle" >&2
        exit 2
        ;;
    esac
    end
done
exit "$missed"
