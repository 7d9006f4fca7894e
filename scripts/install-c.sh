#!/usr/bin/env bash
# Installs the C library: header, static and shared library, and what pkg-config and CMake ask for.
#
#   scripts/install-c.sh PREFIX                  PREFIX/include/allot.h, PREFIX/lib/...
#   DESTDIR=ROOT scripts/install-c.sh PREFIX     the same below ROOT, to be packed up
#
#   cc x.c $(pkg-config --cflags --libs allot)                          with the shared library
#   cc x.c $(pkg-config --cflags allot) -l:liballot.a $(pkg-config --static --libs allot)
#                                                                       with the static one
#   find_package(allot 0.1 REQUIRED); target_link_libraries(x allot::allot)    or allot::static
#
# cargo-c builds and installs: one from the path, at least of the version below, or that version,
# which is put under target/tools. What is installed has no path of this machine in it but PREFIX,
# in allot.pc; CMake's files and `pkg-config --define-prefix` also work when PREFIX was moved.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_c=0.10.24
cargo_c_exact=0.10.24+cargo-0.98.0
tools=$PWD/target/tools
build=$PWD/target/install

if [ $# -ne 1 ] || [ -z "$1" ] || [ "${1#-}" != "$1" ]; then
    echo "usage: [DESTDIR=ROOT] scripts/install-c.sh PREFIX" >&2
    exit 2
fi
# From where the caller stands, not from the folder of the checkout.
case $1 in
/*) prefix=$1 ;;
*) prefix=$OLDPWD/$1 ;;
esac

# Of a version that can build this, or newer.
cargo_c_fits() {
    local found
    found=$(cargo cinstall --version 2> /dev/null | sed -n 's/^cargo-c \([0-9.]*\).*/\1/p')
    [ -n "$found" ] && printf '%s\n' "$cargo_c" "$found" | sort -C -V
}

export PATH=$PATH:$tools/bin
if ! cargo_c_fits; then
    PATH=$tools/bin:$PATH
    if ! cargo_c_fits; then
        echo "installing cargo-c $cargo_c_exact under target/tools; this takes minutes" >&2
        # Not optimised: to build it takes longer than all that it does.
        if ! cargo install --quiet --locked --debug --version "=$cargo_c_exact" --root "$tools" \
            --target-dir "$tools/build" cargo-c; then
            echo "cargo-c $cargo_c_exact cannot be installed: put cargo-c on the path" >&2
            exit 3
        fi
    fi
fi

# Paths of this machine are not for others: what panics and debug information say becomes short.
# Later flags win, so the folders within others come last.
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
read -r -a flags <<< "${RUSTFLAGS:-}"
flags+=("--remap-path-prefix=$PWD=allotment")
for registry in "$sources"/*/; do
    flags+=("--remap-path-prefix=${registry%/}=crates")
done
flags+=("--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=rust")
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
# Symbols stay for backtraces. Debug information would make ten times as much of the library.
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=debuginfo

cargo cinstall --locked --release --package allotment-ffi --manifest-path ffi/Cargo.toml \
    --target-dir "$build" ${DESTDIR:+"--destdir=$DESTDIR"} \
    --prefix "$prefix" --libdir lib --includedir include >&2
lib=${DESTDIR:-}$prefix/lib

# CMake's files say what pkg-config's says: the version, and what of the system the library needs.
pc=$lib/pkgconfig/allot.pc
version=$(sed -n 's/^Version: //p' "$pc")
system=$(sed -n 's/^Libs.private: //p' "$pc")
# The number in a soname: the major version and, below 1, the minor one.
case $version in
0.*) series=$(cut -d . -f 1,2 <<< "$version") ;;
*) series=${version%%.*} ;;
esac
case $(uname -s) in
Darwin)
    shared=liballot.$version.dylib soname=@rpath/liballot.$series.dylib
    # Programs find the library by their rpath, wherever the prefix is.
    install_name_tool -id "$soname" "$lib/$shared"
    strip -S "$lib/liballot.a"
    ;;
*)
    shared=liballot.so.$version soname=liballot.so.$series
    # The standard library comes with its own.
    strip --strip-debug "$lib/liballot.a"
    ;;
esac
mkdir -p "$lib/cmake/allot"
for file in allotConfig.cmake allotConfigVersion.cmake; do
    sed -e "s|@VERSION@|$version|g" -e "s|@SERIES@|$series|g" -e "s|@SHARED@|$shared|g" \
        -e "s|@SONAME@|$soname|g" -e "s|@SYSTEM_LIBRARIES@|${system// /;}|g" \
        "ffi/cmake/$file.in" > "$lib/cmake/allot/$file"
done
echo "installed allot $version below ${DESTDIR:-}$prefix"
