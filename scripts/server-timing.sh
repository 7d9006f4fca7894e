#!/usr/bin/env bash
# Whether the time that `allot serve` takes for an answer tells what is another tenant's from what is not
# there: calls of both kinds, and Welch's t of their times, which has to stay below 4.5. The control,
# which can see both, has to be beyond it.
#
#   scripts/server-timing.sh [CALLS]     100,000 unless said otherwise
#
# Of many lines one may be beyond it by chance: run it again, what is true is so again.
set -euo pipefail
cd "$(dirname "$0")/.."

exec cargo run --release --locked --quiet --package allotment-server --example timing -- "$@"
