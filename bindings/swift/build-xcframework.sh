#!/usr/bin/env bash
# Builds Allot.xcframework beside this script, on a Mac with Xcode and rustup: the library for
# macOS, iOS and its simulator, which Package.swift links as soon as it is there.
#
#   build-xcframework.sh            dynamic: a framework for each platform
#   build-xcframework.sh --static   static: for an app that has no other Rust in it
#
# README.md says why dynamic is the default. What is exported is checked: `allot_*` and nothing
# else. Targets that cannot be had are an error, not a gap in what is shipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

kind=dynamic
case ${1:-} in
'') ;;
--static) kind=static ;;
*)
    echo "usage: build-xcframework.sh [--static]" >&2
    exit 2
    ;;
esac
if [ "$(uname -s)" != Darwin ]; then
    echo "skipped: Allot.xcframework, it is built on a Mac"
    exit 0
fi
for command in cargo rustup xcodebuild lipo install_name_tool codesign nm; do
    command -v "$command" > /dev/null || {
        echo "there is no $command: install Xcode and rustup" >&2
        exit 1
    }
done

scratch=$PWD/target/xcframework
made=$PWD/bindings/swift/Allot.xcframework
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# A platform, its least version as Package.swift has it, its targets. For visionOS and tvOS Rust
# ships no standard library that is ready made: they are not in it.
platforms=(
    "macos 13.0 aarch64-apple-darwin x86_64-apple-darwin"
    "ios 16.0 aarch64-apple-ios"
    "ios-simulator 16.0 aarch64-apple-ios-sim x86_64-apple-ios"
)
rm -rf "$scratch" "$made"
mkdir -p "$scratch"

# One library of all targets of a platform: $scratch/$platform/liballot.{a,dylib}.
build() {
    local platform=$1 least=$2 extension=a target slices=()
    shift 2
    [ "$kind" = static ] || extension=dylib
    mkdir -p "$scratch/$platform"
    for target in "$@"; do
        rustup target add "$target"
        MACOSX_DEPLOYMENT_TARGET=$least IPHONEOS_DEPLOYMENT_TARGET=$least cargo rustc --locked \
            --release --package allotment-ffi --lib --target "$target" \
            --target-dir target/xcframework/build \
            --crate-type "$([ "$kind" = static ] && echo staticlib || echo cdylib)"
        slices+=("$scratch/build/$target/release/liballot.$extension")
    done
    lipo -create "${slices[@]}" -output "$scratch/$platform/liballot.$extension"
}

# What the linker of an app would see beside the functions of the header.
check_exports() {
    local strange
    strange=$(nm -gUj "$1" | grep '^_' | grep -v '^_allot_' || true)
    [ -z "$strange" ] || {
        echo "$1 exports more than allot_*: $strange" >&2
        exit 1
    }
}

# The Info.plist that Xcode asks of a framework.
plist() {
    cat << END
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"
    "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>CFBundleExecutable</key><string>Allot</string>
    <key>CFBundleIdentifier</key><string>org.allotment.Allot</string>
    <key>CFBundleInfoDictionaryVersion</key><string>6.0</string>
    <key>CFBundleName</key><string>Allot</string>
    <key>CFBundlePackageType</key><string>FMWK</string>
    <key>CFBundleShortVersionString</key><string>$version</string>
    <key>CFBundleVersion</key><string>$version</string>
    <key>$1</key><string>$2</string>
</dict>
</plist>
END
}

# A framework around the library: on a Mac with versions inside, elsewhere flat.
framework() {
    local platform=$1 least=$2 folder=$scratch/$1/Allot.framework inside install_name
    local key=MinimumOSVersion
    inside=$folder
    if [ "$platform" = macos ]; then
        inside=$folder/Versions/A
        key=LSMinimumSystemVersion
        mkdir -p "$inside/Resources"
        ln -s A "$folder/Versions/Current"
        ln -s Versions/Current/Allot "$folder/Allot"
        ln -s Versions/Current/Resources "$folder/Resources"
        plist "$key" "$least" > "$inside/Resources/Info.plist"
        install_name=@rpath/Allot.framework/Versions/A/Allot
    else
        mkdir -p "$inside"
        plist "$key" "$least" > "$inside/Info.plist"
        install_name=@rpath/Allot.framework/Allot
    fi
    cp "$scratch/$platform/liballot.dylib" "$inside/Allot"
    install_name_tool -id "$install_name" "$inside/Allot"
    check_exports "$inside/Allot"
    # Changing a name breaks the signature that the linker has made.
    codesign --force --sign - "$folder"
}

parts=()
for line in "${platforms[@]}"; do
    read -r -a words <<< "$line"
    build "${words[@]}"
    if [ "$kind" = static ]; then
        parts+=(-library "$scratch/${words[0]}/liballot.a")
    else
        framework "${words[0]}" "${words[1]}"
        parts+=(-framework "$scratch/${words[0]}/Allot.framework")
    fi
done
xcodebuild -create-xcframework "${parts[@]}" -output "$made"
echo "$made is there, $kind; from now on the package links it"
