# A toolchain that builds for macOS, for scripts that stand in the root of the checkout and source
# this after they have defined `skip`, which says what is missing and ends the script.
#
# Sets `target`, `version`, and `run`, which calls cargo of that toolchain; the crates are fetched.
# If the active toolchain has the target's standard library, that serves; else rustup fetches the
# same version into target/rustup and leaves all other toolchains alone.

target=aarch64-apple-darwin
seconds_max=300

command -v cargo > /dev/null || skip "there is no cargo"
version=$(rustc --version | cut -d ' ' -f 2)
run=()
if [ ! -d "$(rustc --print target-libdir --target "$target" 2> /dev/null || echo /nonexistent)" ]; then
    command -v rustup > /dev/null ||
        skip "the toolchain lacks $target and there is no rustup to fetch it"
    case $version in
    *-nightly | *-beta | *-dev) skip "the toolchain $version lacks $target" ;;
    esac
    export RUSTUP_HOME=$PWD/target/rustup
    mkdir -p "$RUSTUP_HOME"
    log=$RUSTUP_HOME/macos.log
    timeout "$seconds_max" rustup toolchain install "$version" --profile minimal \
        --no-self-update --component clippy --target "$target" > "$log" 2>&1 ||
        skip "$target could not be fetched ($(grep -m 1 "^error" "$log" || tail -n 1 "$log"))"
    run=(rustup run "$version")
fi
timeout "$seconds_max" "${run[@]}" cargo fetch --quiet --locked --target "$target" ||
    skip "the crates for $target could not be fetched"
