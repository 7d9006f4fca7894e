#!/usr/bin/env bash
# `allot serve` against the OpenAPI document that it gives of itself: schemathesis makes requests from
# that document, sound ones and others, alone and in sequences, and holds every answer against it.
#
#   scripts/schemathesis.sh [EXAMPLES [SEED]]   examples of each route; 30 and 1 unless said otherwise
#
# What is checked: no answer is a server error but 503 and 507, which are denials; status, type and
# shape of each are told in the document. What is not, and why:
#
#   positive_data_acceptance, negative_data_rejection   a sound body may be refused for what is there
#       already, and what names and texts have to be is told by the answer
#   ignored_auth   every route with every kind of token is tried by the tests (http/tokens.rs)
#   /v1/events, /v1/watch   streams without an end: each call would be one that is waited for in vain;
#       they are tried by the tests (http/events.rs, http/dashboard.rs)
#
# schemathesis comes from PyPI into a virtual environment below target/. Where Python or it cannot be
# had, one line says "skipped: ..." and the answer is 0; a finding answers 1.
set -euo pipefail
cd "$(dirname "$0")/.."

examples=${1:-30} seed=${2:-1}
version=4.32.5
# Of all; a few hundred calls a second are made.
seconds_max=600
python=${PYTHON:-python3}

skip() {
    echo "skipped: schemathesis, $1"
    exit 0
}

command -v "$python" > /dev/null || skip "there is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    skip "$("$python" --version) is older than the 3.10 that it needs"
scratch=$PWD/target/schemathesis
mkdir -p "$scratch"
log=$scratch/install.log
venv=$scratch/venv-$version
if [ ! -x "$venv/bin/schemathesis" ]; then
    "$python" -m venv --clear "$venv" > "$log" 2>&1 ||
        skip "no virtual environment could be made ($(tail -n 1 "$log"))"
    timeout "$seconds_max" "$venv/bin/pip" install --quiet --disable-pip-version-check \
        "schemathesis==$version" > "$log" 2>&1 ||
        skip "it could not be fetched ($(tail -n 1 "$log"))"
fi

cargo build --quiet --locked -p allot --features serve
allot=${CARGO_TARGET_DIR:-$PWD/target}/debug/allot
run=$scratch/run
rm -rf "$run"
mkdir -p "$run"
server=
end() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } || true
    server=
}
trap end EXIT

cat > "$run/allot.toml" << 'END'
capacity = "1GiB"
[[groups]]
name = "team"
[[tenants]]
name = "chat"
[[tenants]]
name = "batch"
group = "team"
END
cat > "$run/schemathesis.toml" << 'END'
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 507]
END
"$allot" audit keygen "$run/key" > /dev/null
"$allot" serve --listen 127.0.0.1:0 --config "$run/allot.toml" --token-file "$run/token" \
    --audit "$run/log" --audit-key "$run/key" --state "$run/state" > "$run/said" 2> "$run/complaints" &
server=$!
address=
for _ in $(seq 300); do
    address=$(sed -n 's|.* http://||p' "$run/said" | head -n 1)
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { cat "$run/complaints" >&2 && exit 2; }

hooks=$PWD/scripts/schemathesis.py
checks=not_a_server_error,status_code_conformance,content_type_conformance
checks=$checks,response_schema_conformance
status=0
(cd "$run" && SCHEMATHESIS_HOOKS=$hooks ALLOT_ADDRESS=$address ALLOT_TOKEN=$(cat token) \
    ALLOT_CONFIG=$run/allot.toml timeout --kill-after 10 "$seconds_max" \
    "$venv/bin/schemathesis" --config-file "$run/schemathesis.toml" \
    run "http://$address/v1/openapi.json" --header "Authorization: Bearer $(cat token)" \
    --checks "$checks" --exclude-path /v1/events --exclude-path /v1/watch \
    --max-examples "$examples" --seed "$seed" --generation-database none \
    --request-timeout 20 --workers 1 --continue-on-failure --no-color) || status=$?
kill -0 "$server" || { echo "the server has ended" >&2 && status=1; }
[ "$status" -eq 0 ] || { cat "$run/complaints" && exit 1; }
