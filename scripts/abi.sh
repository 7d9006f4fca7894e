#!/usr/bin/env bash
# Programs that were built with a released library run with this one.
#
#   scripts/abi.sh             compares with ffi/abi, and runs old programs (the default)
#   scripts/abi.sh write       writes header and dump of this version into ffi/abi
#   scripts/abi.sh self-test   changes that break programs are found, and additions are not
#
# What is compared: the functions that the shared library exports, with the types that the header
# gives them. The library's own debug information is of no use, it describes what is behind opaque
# pointers and all of Rust's standard library: 1.6 MB instead of 70 KB. So the header is compiled as
# C, with an empty body for each function; abidw dumps that, once the real library is seen to export
# the very same functions. That the header says what Rust does is shown by scripts/header.sh and
# ffi/tests. Constants are macros, which debug information does not have: they are compared as text.
#
# Functions, constants and fields at the end of a struct may be added; they are listed. Everything
# else that abidiff reports fails, also what this script does not know.
#
# An old program is ffi/abi/old_binary.c with the header of a release, linked with the empty bodies
# of that release and run with this library under its soname.
set -euo pipefail
cd "$(dirname "$0")/.."

header=include/allot.h
committed=ffi/abi
scratch=$PWD/target/abi
rm -rf "$scratch"
mkdir -p "$scratch"

version_of() {
    sed -n 's/^#define ALLOT_VERSION "\(.*\)"$/\1/p' "$1"
}

version=$(version_of "$header")
# What the soname ends in: all versions of one series can replace each other.
case $version in
0.*) series=${version%.*} ;;
*) series=${version%%.*} ;;
esac
soname=liballot.so.$series

functions_of_library() {
    nm --dynamic --defined-only "$1" | awk '{ print $NF }' | sort
}

# A line `NAME value` of each constant, as the preprocessor sees it: no version, no initial values,
# which are compiled into programs and may change, no macros with parameters.
constants() {
    cc -E -dM -ffreestanding "$1" | sed -n 's/^#define \(ALLOT_[A-Z0-9_]* .*\)$/\1/p' |
        grep -v -e '^ALLOT_VERSION' -e '_INIT ' -e '^ALLOT_H ' | sort
}

# Makes NAME.so of a header, a library whose functions end the program, and NAME.constants.
stand_in() {
    local header=$1 name=$2
    mkdir -p "$name.include"
    cp "$header" "$name.include/allot.h"
    {
        echo '#include <allot.h>'
        awk '
            /^(const )?[a-z_0-9]+ \**allot_[a-z_0-9]+\(/ { within = 1 }
            within {
                if (sub(/;$/, " { __builtin_trap(); }")) within = 0
                print
            }' "$header"
    } > "$name.c"
    # Freestanding, uint64_t is the compiler's and not the C library's by way of names of its own.
    (cd "$(dirname "$name")" && cc -std=c11 -ffreestanding -w -g -O0 -fPIC -shared -nostdlib \
        -I"$name.include" -Wl,-soname,"$soname" -o "$name.so" "$(basename "$name").c")
    constants "$header" > "$name.constants"
}

# The dump of a stand-in. It has no paths and no locations, so that only changes change it.
dump() {
    (cd "$(dirname "$1")" && abidw --no-corpus-path --no-comp-dir-path --no-show-locs \
        --no-elf-needed --no-architecture --type-id-style hash "$(basename "$1")")
}

# Whether a header and a library have the same functions.
same_functions() {
    functions_of_library "$1" > "$scratch/declared"
    functions_of_library "$2" > "$scratch/exported"
    if ! diff "$scratch/declared" "$scratch/exported"; then
        echo "the header declares (<) other functions than the library exports (>)"
        return 1
    fi
}

# Of what abidiff reports, the additions; fails with the rest.
additions() {
    awk '
        function bad() { print "  " $0; failed = 1 }
        /^$/ || / summary: / { next }
        /^[0-9]+ Added functions?:/ { part = "added"; next }
        part == "added" && /^  \[A\] / { sub(/^ *\[A\] /, ""); print "added: " $0; next }
        / changed:$/ && /^.struct allot_/ {
            part = "struct"
            name = substr($2, 1, length($2) - 1)
            size = -1
            next
        }
        part == "struct" && /^  type size changed from [0-9]+ to [0-9]+ \(in bits\)$/ {
            size = $5
            next
        }
        part == "struct" && /^  [0-9]+ data member insertions?:$/ { next }
        part == "struct" && /^    .*, at offset [0-9]+ \(in bits\)$/ {
            if (size < 0 || $(NF - 2) + 0 < size + 0) bad()
            else { sub(/^ */, ""); print "added: at the end of " name ": " $0 }
            next
        }
        /^[^ ]/ { part = "" }
        { bad() }
        END { exit failed }'
}

# Whether what NAME stands in for can be put in place of an older OLD.abi with OLD.constants.
compatible() {
    local old=$1 name=$2 status=0 answer=0
    dump "$name.so" > "$name.abi"
    abidiff --leaf-changes-only --harmless --no-show-locs "$old.abi" "$name.abi" \
        > "$name.report" 2>&1 || status=$?
    # With 1 and 2 something went wrong; 4 is any difference, 8 one that abidiff is sure about.
    if [ $((status & 3)) -ne 0 ] || { [ "$status" -ne 0 ] && [ ! -s "$name.report" ]; }; then
        cat "$name.report"
        echo "abidiff answers $status"
        return 1
    fi
    additions < "$name.report" || answer=1
    if [ ! -s "$old.constants" ] || [ ! -s "$name.constants" ]; then
        echo "the preprocessor sees no constants"
        return 1
    fi
    comm -13 "$old.constants" "$name.constants" | sed 's/^/added: /' > "$name.added"
    comm -23 "$old.constants" "$name.constants" > "$name.gone"
    if [ -s "$name.gone" ]; then
        sed 's/^/  gone or another number: /' "$name.gone"
        answer=1
    else
        cat "$name.added"
    fi
    return "$answer"
}

have_abigail() {
    if ! command -v abidw > /dev/null || ! command -v abidiff > /dev/null; then
        echo "skipped: comparing the ABI, there is no abidw or abidiff (package abigail-tools)"
        return 1
    fi
}

# The library as every build makes it; the soname comes with installing and is tested there.
build() {
    cargo build --quiet --locked --package allotment-ffi
    library=${CARGO_TARGET_DIR:-target}/debug/liballot.so
    stand_in "$header" "$scratch/now"
    same_functions "$scratch/now.so" "$library"
}

compare() {
    local old answer=0
    for old in "$committed/allot-$series".*.abi; do
        if [ ! -e "$old" ]; then
            echo "no release of series $series is in $committed yet: scripts/abi.sh write"
            return 1
        fi
        old=${old%.abi}
        constants "$old.h" > "$scratch/old.constants"
        cp "$old.abi" "$scratch/old.abi"
        if compatible "$scratch/old" "$scratch/now"; then
            echo "programs of $(version_of "$old.h") fit this library, by functions and types"
        else
            echo "programs of $(version_of "$old.h") break with this library: undo the above," \
                "or begin a new series"
            answer=1
        fi
    done
    return "$answer"
}

# Compiled and linked against what was released, and run with what there is now.
old_programs() {
    local old name undefined
    mkdir -p "$scratch/lib"
    ln -sf "$(realpath "$library")" "$scratch/lib/$soname"
    for old in "$committed/allot-$series".*.h; do
        name=$scratch/old-$(version_of "$old")
        stand_in "$old" "$name"
        cc -std=c11 -Wall -Wextra -pedantic -Werror -I"$name.include" -c "$committed/old_binary.c" \
            -o "$name.o"
        undefined=$(nm --undefined-only "$name.o" | awk '$NF ~ /^allot_/ { print $NF }' | sort)
        if ! diff <(functions_of_library "$name.so") - <<< "$undefined"; then
            echo "$committed/old_binary.c does not call these functions of $old"
            return 1
        fi
        cc "$name.o" "$name.so" -Wl,-z,now -o "$name"
        # What it is run with is this library, and not what it was linked with.
        LD_LIBRARY_PATH=$scratch/lib timeout 120 "$name"
    done
}

write() {
    if [ -n "$(git tag --list "v$version")" ]; then
        echo "$version is released: its dump is never written again" >&2
        exit 1
    fi
    cp "$header" "$committed/allot-$version.h"
    dump "$scratch/now.so" > "$committed/allot-$version.abi"
    wc -c "$committed/allot-$version.h" "$committed/allot-$version.abi"
}

# Changes a copy of the header by a program for sed, and tells whether it can replace the original.
# The first argument is what is expected: `breaks` or `fits`.
change() {
    local expected=$1 what=$2 name=$scratch/changed found=fits
    sed -e "$3" "$header" > "$scratch/changed.h"
    if cmp --silent "$header" "$scratch/changed.h"; then
        echo "self-test: $what: the header has nothing to change for it"
        exit 1
    fi
    stand_in "$scratch/changed.h" "$name"
    compatible "$scratch/now" "$name" > "$name.out" || found=breaks
    if [ "$found" != "$expected" ]; then
        cat "$name.out"
        echo "self-test: $what: $found, and not: $expected"
        exit 1
    fi
    echo "$what: $found; $(head -n 1 "$name.out" | sed 's/^ *//' | cut -c 1-100)"
}

self_test() {
    local of_event='/^typedef struct allot_event {/,/^}/'
    dump "$scratch/now.so" > "$scratch/now.abi"
    change breaks "a function removed" '/^allot_status allot_governor_retain(/d'
    change breaks "a parameter's type" 's/^\( *uint\)64_t by_ns);/\132_t by_ns);/'
    change breaks "a parameter more" 's/uint64_t by_ns);/uint64_t by_ns, uint64_t more);/'
    change breaks "what a function answers" 's/^uint32_t \(allot_abi_version\)/uint64_t \1/'
    change breaks "what a callback is given" \
        '/allot_pressure_fn)(/,/;/s/allot_pressure_level level/uint64_t level/'
    change breaks "a field put in the middle" \
        "$of_event"'s/^ *uint64_t sequence;/uint64_t more;\n&/'
    change breaks "a field removed" "$of_event"'{/uint64_t time_ns;/d}'
    change breaks "a field's type" "$of_event"'s/uint64_t detail;/uint32_t detail;/'
    change breaks "a field's sign" "$of_event"'s/uint64_t detail;/int64_t detail;/'
    change breaks "a field's name" "$of_event"'s/uint64_t detail;/uint64_t particular;/'
    change breaks "two fields swapped" "$of_event"'{s/ from;/ tmp;/;s/ to;/ from;/;s/ tmp;/ to;/}'
    change breaks "the last field made larger" "$of_event"'s/uint32_t cost;/uint64_t cost;/'
    change breaks "a field at the end and another type" \
        "$of_event"'{s/uint64_t detail;/int64_t detail;/;s/^}/uint64_t more;\n}/}'
    change breaks "an array made longer" 's/allot_tenant holders\[5\];/allot_tenant holders[6];/'
    change breaks "a handle's width" 's/^typedef uint64_t \(allot_grant;\)/typedef uint32_t \1/'
    change breaks "a constant's number" 's/^#define ALLOT_QUEUED 2/#define ALLOT_QUEUED 9/'
    change breaks "a constant removed" '/^#define ALLOT_LOST /d'
    change fits "a function added" \
        's/^allot_status allot_governor_retain(.*/&\nallot_status allot_more(uint64_t number);/'
    change fits "a field at the end" "$of_event"'s/^}/uint64_t more;\n}/'
    change fits "a constant added" 's/^#define ALLOT_OK 0/&\n#define ALLOT_MORE 77/'
    # Of the library itself: a function of the header that it has not, and one that is secret.
    sed '/^allot_status allot_governor_retain(/d' "$header" > "$scratch/changed.h"
    stand_in "$scratch/changed.h" "$scratch/changed"
    if same_functions "$scratch/now.so" "$scratch/changed.so" > /dev/null ||
        same_functions "$scratch/changed.so" "$scratch/now.so" > /dev/null; then
        echo "self-test: a function that only the header or only the library has is not seen"
        exit 1
    fi
    echo "a function that only the header or only the library has: breaks"
}

if [ "$(uname -s)" != Linux ]; then
    echo "skipped: the ABI of the shared library, this looks into ELF files"
    exit 0
fi
case ${1:-compare} in
compare)
    build
    status=0
    ! have_abigail || compare || status=$?
    old_programs
    exit "$status"
    ;;
write)
    build
    have_abigail
    write
    ;;
self-test)
    have_abigail || exit 0
    stand_in "$header" "$scratch/now"
    self_test
    ;;
*)
    echo "usage: scripts/abi.sh [compare|write|self-test]" >&2
    exit 2
    ;;
esac
