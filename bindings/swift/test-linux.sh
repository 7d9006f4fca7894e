#!/usr/bin/env bash
# The Swift package with a real Swift 6 on Linux: built with all warnings as errors, tested, used by
# a program of its own as a stranger would, and measured beside the C calls it makes.
#
#   the tests           Tests/AllotmentTests
#   does not compile    Tests/DoesNotCompile: what the compiler has to refuse, and in which words
#   the page            each program of README.md, built as a package that depends on this one
#   the cost            Benches/Overhead, optimised
#
# Where Swift cannot be had, one line says "skipped: ..." and the answer is 0.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: Swift, $1"
    exit 0
}

source bindings/swift/toolchain-linux.sh

scratch=$PWD/target/swift
build=target/swift/build
# Beside a shared library of the same name a linker would take that.
cargo build --quiet --locked --release --package allotment-ffi
mkdir -p "$scratch/lib"
cp "${CARGO_TARGET_DIR:-target}/release/liballot.a" "$scratch/lib"

# $1: build, test or run; then what it takes.
swift_package() {
    local verb=$1
    shift
    swift_run swift "$verb" --jobs "${CARGO_BUILD_JOBS:-2}" --scratch-path "$build" \
        -Xswiftc -warnings-as-errors -Xlinker "-L$swift_checkout/target/swift/lib" "$@"
}

swift_run swift --version 2> /dev/null
swift_package test --package-path bindings/swift
