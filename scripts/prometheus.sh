#!/usr/bin/env bash
# The metrics of `allot serve` before a real Prometheus: it reads all of them, each alert comes at its
# bound (crates/server/prometheus), and each panel of the Grafana dashboard asks for something that
# is there.
#
#   scripts/prometheus.sh
#
# Needs prometheus and promtool (Debian's package prometheus), curl and jq. What is missing is said
# in one line, "skipped: ...".
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in prometheus promtool curl jq; do
    if ! command -v "$tool" > /dev/null; then
        echo "skipped: metrics before Prometheus, there is no $tool"
        exit 0
    fi
done

rules=crates/server/prometheus
(cd "$rules" && promtool check rules alerts.yml && promtool test rules alerts.test.yml)

cargo build --locked --quiet --package allot --features serve
allot=${CARGO_TARGET_DIR:-target}/debug/allot
scratch=$(mktemp -d)
started=()
finish() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2> /dev/null || true
    wait
    rm -rf "$scratch"
}
trap finish EXIT

# Waits for a command that may fail at first.
soon() {
    local turn
    for turn in {1..300}; do
        "$@" > /dev/null 2>&1 && return
        sleep 0.1
    done
    echo "not within 30 s: $*" >&2
    return 1
}

printf 'capacity = "64MiB"\n[[tenants]]\nname = "chat"\nlimit = "48MiB"\n' > "$scratch/allot.toml"
"$allot" serve --listen 127.0.0.1:0 --config "$scratch/allot.toml" \
    --token-file "$scratch/token" > "$scratch/allot.log" &
started+=($!)
soon grep -q http:// "$scratch/allot.log"
address=$(sed -n 's,.* on http://,,p' "$scratch/allot.log")

ask() {
    local path=$1
    shift
    curl --silent --fail --header "Authorization: Bearer $(cat "$scratch/token")" \
        --header "Content-Type: application/json" "http://$address$path" "$@"
}

cat > "$scratch/prometheus.yml" << END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$PWD/$rules/alerts.yml]
scrape_configs:
  - job_name: allot
    authorization: { credentials_file: $scratch/token }
    static_configs: [{ targets: ["$address"] }]
END
promtool check config "$scratch/prometheus.yml" > /dev/null
# A free port: that of a server which has just let go of it.
port=$(sed -n 's/.*://p' <<< "$address")
port=$((port == 65535 ? 1025 : port + 1))
prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
    --web.listen-address="127.0.0.1:$port" > "$scratch/prometheus.log" 2>&1 &
started+=($!)

query() {
    curl --silent --fail --get "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1"
}

# Whether the answer is this number.
is() {
    [ "$(query "$1" | jq -r '.data.result[0].value[1]')" = "$2" ]
}

soon is 'up{job="allot"}' 1
ask /v1/requests --data '{"tenant": "chat", "bytes": "16MiB", "type": "cache", "wait_ms": 10}' \
    > /dev/null
ask /v1/requests --data '{"tenant": "chat", "bytes": 1, "type": "inference"}' > /dev/null
soon is 'allot_tenant_used_bytes{tenant="chat"}' $(((16 << 20) + 1))
soon is 'allot_tenant_ceiling_bytes{tenant="chat"}' $((48 << 20))
soon is 'sum(allot_requests_total{outcome="granted"})' 2
echo "Prometheus reads what is held and what was asked for"

# All alerts are loaded, and none complains of its figures.
rules_loaded=$(curl --silent "http://127.0.0.1:$port/api/v1/rules" |
    jq '[.data.groups[].rules[] | select(.lastError == null or .lastError == "")] | length')
wanted=$(grep -c '^ *- alert:' "$rules/alerts.yml")
[ "$rules_loaded" -eq "$wanted" ] || { echo "$rules_loaded of $wanted alerts are sound"; exit 1; }

# Each panel has an answer with a series in it, given that two scrapes have passed.
sleep 3
panels=0
while IFS= read -r expression; do
    expression=${expression//\$instance/.*}
    expression=${expression//\$__rate_interval/10s}
    # Nobody was denied here, and a quantile of nothing is no number: to be asked is enough.
    if ! query "$expression" | jq -e '.status == "success"' > /dev/null; then
        echo "a panel that Prometheus does not understand: $expression"
        exit 1
    fi
    metric=$(grep -o 'allot_[a-z_]*' <<< "$expression" | head -n 1)
    if ! query "$metric" | jq -e '.data.result | length > 0' > /dev/null; then
        echo "a panel of a metric that is not there: $metric"
        exit 1
    fi
    panels=$((panels + 1))
done < <(jq -r '.panels[].targets[].expr' crates/server/grafana/dashboard.json)
echo "$wanted alerts, $panels queries of the dashboard"
