#!/usr/bin/env bash
# The Swift package with a real Swift 6 on Linux: built with all warnings as errors, tested, used by
# a program of its own as a stranger would, and measured beside the C calls it makes.
#
#   the form            swift-format, by .swift-format; every public declaration is documented
#   the tests           Tests/AllotmentTests
#   does not compile    Tests/DoesNotCompile: what the compiler has to refuse, and in which words
#   the page            each program of README.md, built as a package that depends on this one
#   the catalogue       DocC, all links resolved
#   the cost            Benches/Overhead, optimised
#
# Where Swift cannot be had, one line says "skipped: ..." and the answer is 0.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: Swift, $1"
    exit 0
}

fail() {
    echo "$*" >&2
    exit 1
}

source bindings/swift/toolchain-linux.sh

scratch=$PWD/target/swift
build=target/swift/build
# For each command of Swift: all take a few of them.
seconds_max=900
module_map=-fmodule-map-file=bindings/swift/Sources/CAllotment/include/module.modulemap
# Beside a shared library of the same name a linker would take that.
cargo build --quiet --locked --release --package allotment-ffi
mkdir -p "$scratch/lib"
cp "${CARGO_TARGET_DIR:-target}/release/liballot.a" "$scratch/lib"

# $1: build, test or run; then what it takes.
swift_package() {
    local verb=$1
    shift
    swift_run timeout --kill-after 10 "$seconds_max" swift "$verb" --scratch-path "$build" --jobs "${CARGO_BUILD_JOBS:-2}" \
        -Xswiftc -warnings-as-errors -Xlinker "-L$swift_checkout/target/swift/lib" "$@"
}


# What the compiler has to refuse: the first line of each file says in which words.
does_not_compile() {
    local file words said
    for file in bindings/swift/Tests/DoesNotCompile/*.swift; do
        words=$(sed -n '1s,^// refused: ,,p' "$file")
        [ -n "$words" ] || fail "$file does not begin with \`// refused: \`"
        said=$(swift_run swiftc -swift-version 6 -emit-sil -o /dev/null -I "$build/debug/Modules" \
            -Xcc "$module_map" "$file" 2>&1) && fail "$file compiles"
        grep --quiet --fixed-strings "error: " <<< "$said" &&
            grep --quiet --fixed-strings "$words" <<< "$said" ||
            fail "$file is refused in other words than \`$words\`: $said"
        echo "refused, as it has to be: $(basename "$file" .swift)"
    done
}

# Each Swift block of the page that imports the package is a program of a package that depends on
# this one, and prints what the next block says.
page() {
    local page=$scratch/page programs place
    rm -rf "$page/Sources" "$page/expected"
    mkdir -p "$page/Sources" "$page/expected"
    awk -v page="$page" '
        /^```/ && inside { close(file); inside = 0; next }
        /^```swift$/ { getline; if ($0 == "import Allotment") {
            place++; folder = page "/Sources/Page" place; system("mkdir -p " folder)
            file = folder "/main.swift"; inside = 1; expects = 1 } }
        /^```text$/ && expects { file = page "/expected/Page" place; inside = 1; expects = 0
            printf "" > file; next }
        inside { print > file }
    ' bindings/swift/README.md
    programs=$(ls "$page/Sources")
    [ -n "$programs" ] || fail "README.md has no program"
    {
        echo '// swift-tools-version: 6.0'
        echo 'import PackageDescription'
        echo 'let package = Package('
        echo '    name: "Page",'
        echo '    dependencies: [.package(path: "../../../bindings/swift")],'
        echo '    targets: ['
        for place in $programs; do
            echo "        .executableTarget(name: \"$place\", dependencies: ["
            echo '            .product(name: "Allotment", package: "swift")]),'
        done
        echo '    ])'
    } > "$page/Package.swift"
    for place in $programs; do
        [ -e "$page/expected/$place" ] || fail "the page does not say what $place prints"
        swift_package run --quiet --package-path target/swift/page --scratch-path "$build-page" \
            "$place" > "$page/$place.out"
        diff "$page/expected/$place" "$page/$place.out" ||
            fail "$place of README.md prints something else (>) than the page says (<)"
        echo "the page: $place prints what it says"
    done
}

form() {
    local sources=(Package.swift Sources Tests Benches Examples)
    swift_run swift format lint --strict --recursive --configuration bindings/swift/.swift-format \
        "${sources[@]/#/bindings/swift/}"
    echo "the form is that of .swift-format"
}

# The catalogue as Xcode shows it, of what the compiler says is public.
catalogue() {
    local tools triple
    tools=$(swift_run sh -c 'dirname "$(readlink -f "$(command -v swift)")"')
    if ! swift_run test -x "$tools/docc"; then
        echo "the catalogue is not built: this Swift has no docc"
        return
    fi
    triple=$(swift_run swiftc -print-target-info | sed -n 's/.*"triple": "\(.*\)".*/\1/p' | head -n 1)
    rm -rf "$scratch/graph" "$scratch/docs"
    mkdir -p "$scratch/graph"
    swift_run "$tools/swift-symbolgraph-extract" -module-name Allotment -target "$triple" \
        -I "$build/debug/Modules" -Xcc "$module_map" -minimum-access-level public \
        -output-dir target/swift/graph
    swift_run "$tools/docc" convert bindings/swift/Sources/Allotment/Allotment.docc \
        --fallback-display-name Allotment --fallback-bundle-identifier org.allotment.Allotment \
        --additional-symbol-graph-dir target/swift/graph --output-path target/swift/docs \
        --warnings-as-errors
    echo "the catalogue is built, all its links lead somewhere"
}

swift_run swift --version 2> /dev/null
form
swift_package test --package-path bindings/swift --disable-xctest
does_not_compile
page
catalogue
swift_package run --quiet --package-path bindings/swift --configuration release Overhead
