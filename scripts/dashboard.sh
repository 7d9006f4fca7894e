#!/usr/bin/env bash
# The dashboard of `allot serve` before a real browser, headless: every view by mouse and by keys,
# the change of a limit, a server that goes away and comes back, what is sent, how long an update
# takes with a thousand tenants. Pictures of all of it go to target/dashboard/.
#
#   scripts/dashboard.sh
#
# Needs node 20 or later and Chromium, which is installed where that is possible (Debian's package
# chromium, as root). What is missing is said in one line, "skipped: ...".
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v node > /dev/null || [ "$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then
    echo "skipped: the dashboard before a browser, there is no node of version 20"
    exit 0
fi
find_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
}
browser=$(find_browser || true)
if [ -z "$browser" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p target
    {
        apt-get update &&
            apt-get install --yes --no-install-recommends chromium fonts-dejavu-core
    } > target/chromium.log 2>&1 || true
    browser=$(find_browser || true)
fi
if [ -z "$browser" ]; then
    echo "skipped: the dashboard before a browser, there is no chromium"
    exit 0
fi

cargo build --locked --quiet --package allot --features serve
timeout 600 node scripts/dashboard/check.mjs "$browser"
