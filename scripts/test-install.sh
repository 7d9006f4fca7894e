#!/usr/bin/env bash
# Installs the C library into a scratch prefix under target/ and uses it as a stranger would.
#
#   what is installed   the files, the soname, the exports, no path of this machine
#   pkg-config          builds bindings/c/hello.c, shared and static, and runs both
#   CMake               the same by bindings/c/CMakeLists.txt; refuses a version that does not fit
#   moved               all again after the prefix was moved
#   DESTDIR             what is packed up says where it will be, not where it is
#
# What a tool is missing for is skipped aloud.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$PWD/target/test-install
prefix=$scratch/prefix
hello=$PWD/bindings/c/hello.c
rm -rf "$scratch"
mkdir -p "$scratch"

fail() {
    echo "$*" >&2
    exit 1
}

# 0 with the library installed; ends the test where cargo-c cannot be had.
install() {
    local status=0
    scripts/install-c.sh "$@" || status=$?
    if [ "$status" -eq 3 ]; then
        echo "skipped: installing the C library, cargo-c cannot be had"
        exit 0
    fi
    [ "$status" -eq 0 ] || fail "scripts/install-c.sh answers $status"
}

# Runs a hello that was built in the way that the first argument says, with the rest before it.
runs() {
    local how=$1
    shift
    env "$@" > "$scratch/out" 2>&1 || fail "hello, $how, answers $?: $(cat "$scratch/out")"
    grep -q 'in use at the end: 0 bytes' "$scratch/out" ||
        fail "hello, $how, says something else: $(cat "$scratch/out")"
    echo "hello runs, $how"
}

asks_for_shared() {
    readelf --dynamic "$1" | grep -q 'NEEDED.*liballot'
}

files() {
    (cd "$prefix" && find . \( -type f -printf '%P  %s bytes\n' \) -o \
        \( -type l -printf '%P -> %l\n' \)) | sort
    local name
    for name in include/allot.h lib/liballot.a lib/liballot.so "lib/$soname" \
        "lib/liballot.so.$version" lib/pkgconfig/allot.pc lib/cmake/allot/allotConfig.cmake \
        lib/cmake/allot/allotConfigVersion.cmake; do
        [ -e "$prefix/$name" ] || fail "$name is not installed"
    done
    cmp include/allot.h "$prefix/include/allot.h"
}

# What the dynamic linker sees: the soname, and of symbols those of the header and no others.
library() {
    local shared=$prefix/lib/liballot.so found
    found=$(readelf --dynamic "$shared" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
    [ "$found" = "$soname" ] || fail "the soname is $found instead of $soname"
    nm --dynamic --defined-only "$shared" | awk '{ print $NF }' | sort > "$scratch/exported"
    grep -o '\ballot_[a-z_0-9]*(' include/allot.h | tr -d '(' | sort -u > "$scratch/declared"
    diff "$scratch/declared" "$scratch/exported" ||
        fail "the header declares (<) other functions than the library exports (>)"
    echo "soname $found, $(wc -l < "$scratch/exported") functions exported, nothing else"
}

# Where cargo, the checkout and the home of this machine are is nobody's business.
paths() {
    local file place
    for file in lib/liballot.a lib/liballot.so lib/cmake/allot/allotConfig.cmake; do
        for place in "$PWD" "$HOME/" "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"; do
            ! grep --quiet --text --fixed-strings "$place" "$prefix/$file" ||
                fail "$file contains the path $place"
        done
    done
    echo "no path of this machine in the libraries"
}

# Further arguments go to pkg-config.
by_pkg_config() {
    if ! command -v pkg-config > /dev/null; then
        echo "skipped: hello by pkg-config, there is no pkg-config"
        return
    fi
    local where=$1 flags libs program=$scratch/by-pkg-config
    shift
    export PKG_CONFIG_PATH=$where/lib/pkgconfig
    [ "$(pkg-config --modversion allot)" = "$version" ] || fail "allot.pc has another version"
    flags=$(pkg-config "$@" --cflags allot)
    libs=$(pkg-config "$@" --libs allot)
    # shellcheck disable=SC2086 # flags are words
    cc $flags "$hello" -o "$program" $libs
    asks_for_shared "$program" || fail "hello does not ask for the shared library"
    runs "shared by pkg-config $*" LD_LIBRARY_PATH="$where/lib" "$program"
    # The archive by its name; the shared library is asked for only if something were still missing.
    libs=$(pkg-config "$@" --static --libs allot)
    # shellcheck disable=SC2086
    cc $flags "$hello" -o "$program-static" -Wl,--as-needed -l:liballot.a $libs
    ! asks_for_shared "$program-static" || fail "hello asks for the shared library all the same"
    runs "static by pkg-config $*" "$program-static"
}

by_cmake() {
    if ! command -v cmake > /dev/null; then
        echo "skipped: hello by CMake, there is no cmake"
        return
    fi
    local where=$1 build=$scratch/by-cmake
    rm -rf "$build"
    cmake -S bindings/c -B "$build" -DCMAKE_PREFIX_PATH="$where" > "$scratch/cmake.log" 2>&1 ||
        fail "cmake: $(cat "$scratch/cmake.log")"
    cmake --build "$build" > "$scratch/cmake.log" 2>&1 || fail "cmake: $(cat "$scratch/cmake.log")"
    asks_for_shared "$build/hello" || fail "hello does not ask for the shared library"
    runs "shared by CMake" "$build/hello"
    ! asks_for_shared "$build/hello_static" || fail "hello_static asks for the shared library"
    runs "static by CMake" "$build/hello_static"
}

# Which versions find_package takes for which it is asked.
cmake_versions() {
    command -v cmake > /dev/null || return 0
    local asked
    mkdir -p "$scratch/versions"
    cat > "$scratch/versions/CMakeLists.txt" << 'EOF'
cmake_minimum_required(VERSION 3.19)
project(versions LANGUAGES C)
string(REPLACE " " ";" asked "${ASKED}")
find_package(allot ${asked} REQUIRED)
EOF
    finds() {
        rm -rf "$scratch/versions/build"
        cmake -S "$scratch/versions" -B "$scratch/versions/build" -DCMAKE_PREFIX_PATH="$prefix" \
            -DASKED="$1" > "$scratch/cmake.log" 2>&1
    }
    for asked in "" "$series" "$version" "$version EXACT" "$series...<1000"; do
        finds "$asked" || fail "find_package(allot $asked) does not find $version"
    done
    for asked in "$version.1" 0.0 1000 "1000...1001" "0.0...<$version"; do
        ! finds "$asked" || fail "find_package(allot $asked) takes $version"
    done
    echo "find_package takes the versions that fit, and no others"
}

packed_up() {
    DESTDIR=$scratch/staged install /packed/allot
    local pc=$scratch/staged/packed/allot/lib/pkgconfig/allot.pc
    grep -q '^prefix=/packed/allot$' "$pc" || fail "with DESTDIR, allot.pc says $(head -n 1 "$pc")"
    ! grep -r --quiet --text --fixed-strings "$scratch" "$scratch/staged" ||
        fail "with DESTDIR, files say where they were packed up"
    echo "with DESTDIR nothing says where it was packed up"
}

if [ "$(uname -s)" != Linux ]; then
    echo "skipped: installing the C library, the test looks into ELF files"
    exit 0
fi
install "$prefix"
version=$(sed -n 's/^Version: //p' "$prefix/lib/pkgconfig/allot.pc")
case $version in
0.*) series=${version%.*} ;;
*) series=${version%%.*} ;;
esac
soname=liballot.so.$series

files
library
paths
by_pkg_config "$prefix"
by_cmake "$prefix"
cmake_versions
mv "$prefix" "$scratch/moved"
by_pkg_config "$scratch/moved" --define-prefix
by_cmake "$scratch/moved"
packed_up
