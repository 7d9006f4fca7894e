#!/usr/bin/env bash
# The deliberate mistakes of src/core/bugs.rs, and after how many schedules each is found: a table
# in Markdown.
#
#   scripts/mistakes.sh
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTFLAGS="${RUSTFLAGS:-} --cfg allot_steps" cargo test --locked --quiet --release \
    --package schedules --target-dir target/steps --test bugs -- --nocapture 2> /dev/null |
    grep '^|'
