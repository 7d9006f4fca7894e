#!/usr/bin/env bash
# Runs the loom models: `quick` (each within its bound of preemptions, for every change) or `full`
# (ALLOT_LOOM=full: wider bounds, for changes of the core). More arguments go to the test programs:
#
#   loom-tests/run.sh quick            all models
#   loom-tests/run.sh full account     those with `account` in their name
#
# Optimised, because there are many executions; with assertions, because they are the models' point.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
quick) unset ALLOT_LOOM ;;
full) export ALLOT_LOOM=full ;;
*)
    echo "usage: loom-tests/run.sh quick|full [test arguments]" >&2
    exit 2
    ;;
esac
shift

if ! compgen -G "loom-tests/tests/*.rs" > /dev/null; then
    echo "skipped: loom, there are no models in loom-tests/tests"
    exit 0
fi

export RUSTFLAGS="${RUSTFLAGS:-} --cfg allot_loom"
export CARGO_TARGET_DIR=target/loom
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
exec cargo test --locked --package loom-tests --release -- --nocapture "$@"
