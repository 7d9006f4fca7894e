#!/usr/bin/env bash
# `allot top` in a real terminal, that of tmux: what stands on the screen, every key, a tenant
# frozen and thawed, a server that is silent, gone, and another one, a terminal that is too small,
# and how it ends; then --once, and a recorded trace as it is played. Screens that differ from what
# was expected are printed.
#
#   scripts/top.sh
#
# Needs tmux, curl and jq. What is missing is said in one line, "skipped: ...".
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in tmux curl jq; do
    if ! command -v "$tool" > /dev/null; then
        echo "skipped: top in a terminal, there is no $tool"
        exit 0
    fi
done

cargo build --locked --quiet --package allot --features serve,top
allot=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/allot
scratch=$(mktemp -d)
# A socket of its own, so that nobody else's sessions are seen or ended.
export TMUX_TMPDIR=$scratch
unset TMUX
socket=top
server=
finish() {
    tmux -L "$socket" kill-server 2> /dev/null || true
    if [ -n "$server" ]; then
        # One that was stopped does not hear of its end.
        kill -CONT "$server" 2> /dev/null || true
        kill "$server" 2> /dev/null || true
        wait "$server" 2> /dev/null || true
    fi
    rm -rf "$scratch"
}
trap finish EXIT

# Starts a server on an address, with more options; it has two groups and no tenants.
serve() {
    local listen=$1
    shift
    "$allot" serve --listen "$listen" --config "$scratch/allot.toml" \
        --token-file "$scratch/token" "$@" > "$scratch/serve.log" 2>&1 &
    server=$!
    local turn
    for turn in {1..300}; do
        grep -q 'http://' "$scratch/serve.log" && break
        sleep 0.1
    done
    address=$(sed -n 's,.* on http://,,p' "$scratch/serve.log" | head -n 1)
    [ -n "$address" ] || { cat "$scratch/serve.log"; exit 1; }
}

ask() {
    local path=$1
    shift
    curl --silent --show-error --fail --header "Authorization: Bearer $(cat "$scratch/token")" \
        --header "Content-Type: application/json" "http://$address$path" "$@"
}

# Three tenants, what they hold, and a request that is refused.
populate() {
    ask /v1/tenants -d '{"name": "chat", "group": "apps", "guarantee": "8MiB", "limit": "40MiB"}'
    ask /v1/tenants -d '{"name": "batch", "group": "night", "priority": "low"}'
    ask /v1/tenants -d '{"name": "index", "limit": "16MiB"}'
    ask /v1/requests -d '{"tenant": "chat", "bytes": "24MiB", "type": "inference",
        "model": "llama", "lease_ms": 600000}'
    ask /v1/requests -d '{"tenant": "batch", "bytes": "6MiB", "type": "cache",
        "lease_ms": 600000, "on_evict": "at_once"}'
    # Without --fail: it is refused.
    curl --silent --header "Authorization: Bearer $(cat "$scratch/token")" \
        --header "Content-Type: application/json" "http://$address/v1/requests" \
        -d '{"tenant": "index", "bytes": "17MiB", "type": "inference"}'
}

screen() {
    tmux -L "$socket" capture-pane -p -t top
}

# Waits until a pattern stands on the screen, or does not any more.
sees() {
    local turn
    for turn in {1..150}; do
        screen | grep -q -- "$1" && return
        sleep 0.1
    done
    echo "not within 15 s: $1" >&2
    screen >&2
    return 1
}
sees_no_more() {
    local turn
    for turn in {1..150}; do
        screen | grep -q -- "$1" || return 0
        sleep 0.1
    done
    echo "still there after 15 s: $1" >&2
    screen >&2
    return 1
}
keys() {
    tmux -L "$socket" send-keys -t top "$@"
}

# The order of the tenants on the screen.
order() {
    screen | grep -o '^ *\(chat\|batch\|index\)' | tr -d ' ' | paste -sd ' '
}
ordered() {
    local turn
    for turn in {1..50}; do
        [ "$(order)" = "$1" ] && return
        sleep 0.1
    done
    echo "the order is $(order), not $1" >&2
    screen >&2
    return 1
}

# Runs top in a terminal that stays when it has ended, and says how it did.
run_top() {
    tmux -L "$socket" -f /dev/null new-session -d -s top -x 120 -y 34 \
        "NO_COLOR=1 '$allot' top --server http://$address --token-file '$scratch/token'; \
         echo \"ended with \$?\"; stty -a | grep -o '[-]*icanon'; sleep 300"
}

cat > "$scratch/allot.toml" << END
capacity = "64MiB"
[[groups]]
name = "apps"
guarantee = "8MiB"
[[groups]]
name = "night"
parent = "apps"
END
serve 127.0.0.1:0
populate > "$scratch/populate.log"

run_top
sees "allot top  http://$address  *live"
sees 'Pool .*30 MiB of 64 MiB in use, 46.9 %'
sees 'pressure: normal   waiting 0   in the last minute: refused 1, evicted 0 B'
sees 'stays 0 B   evictable 30 MiB .* guaranteed 8 MiB'
sees 'last refusal: index, .*: .*its limit of 16 MiB'
sees '^3 tenants'
sees '^chat  *▓▓*G▓▓*·*L  *24 MiB  *8 MiB .* 40 MiB '
sees '^batch  *▓▓*.*  6 MiB  *- '
ordered 'chat batch index'
echo "the pool and three tenants stand on the screen"

keys Left
sees 'Tenant▲'
ordered 'batch chat index'
keys r
ordered 'index chat batch'
keys r Right
sees 'Used▼'
keys t
sees '^apps  *group .*30 MiB'
sees '^  night  *group '
sees '^    batch '
keys t
sees_no_more '^apps  *group '
keys / c h a Enter
sees '^1 of 3 tenants with `cha`'
ordered 'chat'
keys Escape
sees '^3 tenants'
keys '?'
sees 'freeze the chosen tenant'
keys Space
sees_no_more 'freeze the chosen tenant'
echo "it is sorted, filtered, shown as a tree, and explains its keys"

keys f
sees 'choose a tenant first'
keys Down f
sees 'y freezes, .*: freeze chat?'
keys n
sees_no_more 'y freezes'
[ "$(ask /v1/tenants/chat | jq -r .hold)" = none ]
keys f
sees 'y freezes, .*: freeze chat?'
keys y
sees 'chat is frozen'
sees '^chat (frozen)'
[ "$(ask /v1/tenants/chat | jq -r .hold)" = frozen ]
keys f
sees 'y thaws, .*: thaw chat?'
keys y
sees 'chat is thawed'
sees_no_more '(frozen)'
[ "$(ask /v1/tenants/chat | jq -r .hold)" = none ]
echo "a tenant is frozen and thawed, each after a yes"

keys Enter
sees 'Most at once .*24 MiB'
sees 'inference  *llama  *1  *24 MiB'
keys Escape
sees '^3 tenants'
tmux -L "$socket" resize-window -t top -x 50 -y 10
sees 'this terminal is too small: 50 x 10'
tmux -L "$socket" resize-window -t top -x 80 -y 24
sees 'Tenant .*Used.*Guarantee'
for width in 80 90; do
    tmux -L "$socket" resize-window -t top -x "$width" -y 24
    sees '^3 tenants   [1-9] columns hidden, < > or widen'
    sees 'Enter: open  f: freeze  /: filter  t: tree$'
    # Going through the columns brings each of them to the screen.
    for column in Guarantee 'Fair share' Limit 'Idle claim' Evictable Waiting Refused Evicted \
        'Above fair'; do
        keys Right
        sees "$column▼"
    done
    keys Right
    sees 'Tenant▲'
    keys Right
    sees 'Used▼'
    keys '?'
    sees '> no limit'
    sees_no_more '…'
    keys Space
    sees_no_more '> no limit'
done
tmux -L "$socket" resize-window -t top -x 120 -y 34
sees '^3 tenants   2 columns hidden'
echo "a tenant in detail, a small terminal, and what has no room at 80 and 90 columns"

# A server that is there and says nothing.
kill -STOP "$server"
sees 'gone, trying again: .*is silent'
kill -CONT "$server"
sees ' live$'
echo "a silent server is told, and is live again once it speaks"

kill "$server"
wait "$server" || true
sees 'gone, trying again'
sees '^chat '
serve "$address"
sees ' live$'
sees 'this is another server'
sees 'there are no tenants yet'
populate > "$scratch/populate.log"
sees '^3 tenants'
echo "a server that was started again is found, with its new token"

keys q
sees '^ended with 0'
sees '^icanon'
tmux -L "$socket" kill-session -t top
run_top
sees ' live$'
# By the number of the process that was started here, below that of the shell.
started() {
    local shell
    shell=$(tmux -L "$socket" display-message -p -t top '#{pane_pid}')
    ps -o pid= --ppid "$shell" | head -n 1 | tr -d ' '
}
kill -TERM "$(started)"
sees '^ended with 0'
sees '^icanon'
tmux -L "$socket" kill-session -t top
echo "it ends by q and by SIGTERM, and leaves the terminal as it was"

run_top
sees ' live$'
top=$(started)
tmux -L "$socket" kill-session -t top
for turn in {1..100}; do
    kill -0 "$top" 2> /dev/null || break
    sleep 0.1
done
if kill -0 "$top" 2> /dev/null; then
    echo "it goes on without a terminal" >&2
    exit 1
fi
echo "it ends with its terminal"

once() {
    "$allot" top --once --server "http://$address" --token-file "$scratch/token" "$@"
}
once | grep -q '^chat  *apps  *-  *24 MiB  *8 MiB '
once --json | jq -e '.schema == 1 and .pool.used_bytes == 30 * 1048576 and
    ([.tenants[].name] == ["chat", "batch", "index"]) and .tenants[2].refused_requests == 1' \
    > /dev/null
echo "--once prints a table, --once --json a document"

kill "$server"
wait "$server" || true
# An hour of it is a second; what the last two hold they hold for longer than this takes.
cat > "$scratch/trace.csv" << END
time_ms,tenant,allocation_type,bytes,duration_ms,key
0,reader,cache,2097152,,1
2000,reader,inference,17179869184,1000,
3000,writer,inference,4194304,3600000000,
3600000,late,inference,8388608,3600000000,
END
serve 127.0.0.1:0 --replay "$scratch/trace.csv" --format csv --speed 3600
run_top
sees ' live$'
sees '^late  *[▓█]'
sees '^writer  *[▓█]'
sees 'last refusal: reader'
echo "a recorded trace is seen as it is played"
