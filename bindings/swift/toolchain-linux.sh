# Swift 6 on Linux, for scripts that stand in the root of the checkout and source this after they
# have defined `skip`, which says what is missing and ends the script.
#
# Defines `swift_run`, which runs a command with Swift in its path, in the root of the checkout, and
# `swift_checkout`, what that is called there.
#
# A Swift 6 or later of this machine serves. Else, as root on a machine with apt-get, Debian's own
# compiler is installed below ALLOT_SWIFT_ROOT (target/swift/root unless set): a small Debian, since
# its programs need a newer C library than older systems have. It is entered in a mount namespace of
# its own, so that nothing stays mounted, whatever becomes of the script.

swift_release=trixie
swift_packages=(swiftlang libc6-dev libstdc++-14-dev git ca-certificates)
swift_root=${ALLOT_SWIFT_ROOT:-$PWD/target/swift/root}
swift_scratch=$PWD/target/swift
mkdir -p "$swift_scratch"

# Whether the machine's own Swift is new enough.
swift_is_here() {
    local major
    major=$(swift --version 2> /dev/null | sed -n 's/.*Swift version \([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 6 ]
}

# Runs "$@" as root of the small Debian, with the checkout at /checkout.
swift_enter() {
    unshare --mount --propagation private --fork --pid --kill-child bash -euc '
        root=$1
        checkout=$2
        shift 2
        mkdir -p "$root/checkout"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$checkout" "$root/checkout"
        exec chroot "$root" env --ignore-environment HOME=/root LANG=C.UTF-8 \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
            sh -c "cd /checkout && exec \"\$@\"" sh "$@"
    ' bash "$swift_root" "$PWD" "$@"
}

# The small Debian with Swift in it, made once. What it is made of says whether it is complete.
swift_install() {
    local made=$swift_root/made-of mirror keyring log=$swift_scratch/install.log
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ "$(cat "$made" 2> /dev/null)" != "$swift_release ${swift_packages[*]}" ] || return 0
    [ -e "$keyring" ] || skip "there is no $keyring to trust Debian's packages by"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
        head -n 1)
    [ -n "$mirror" ] || skip "apt-get knows no mirror of Debian"
    rm -rf "$swift_root" "$swift_scratch/debootstrap"
    mkdir -p "$swift_scratch/debootstrap"
    {
        (cd "$swift_scratch/debootstrap" && apt-get download debootstrap &&
            dpkg-deb --extract debootstrap_*.deb .) &&
            DEBOOTSTRAP_DIR=$swift_scratch/debootstrap/usr/share/debootstrap \
                unshare --mount --propagation private \
                sh "$swift_scratch/debootstrap/usr/sbin/debootstrap" --variant=minbase \
                --keyring="$keyring" "$swift_release" "$swift_root" "$mirror" &&
            swift_enter apt-get update &&
            swift_enter apt-get install --yes --no-install-recommends "${swift_packages[@]}" &&
            swift_enter apt-get clean
    } > "$log" 2>&1 ||
        skip "it could not be installed ($(grep -m 1 '^E: ' "$log" || tail -n 1 "$log"))"
    echo "$swift_release ${swift_packages[*]}" > "$made"
}

if swift_is_here; then
    swift_checkout=$PWD
    swift_run() {
        "$@"
    }
else
    [ "$(uname -s)" = Linux ] || skip "there is no Swift 6"
    [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null ||
        skip "there is no Swift 6, and this is not root on a machine with apt-get"
    for command in unshare chroot dpkg-deb perl wget; do
        command -v "$command" > /dev/null ||
            skip "there is no Swift 6, and no $command to install it"
    done
    unshare --mount true 2> /dev/null ||
        skip "there is no Swift 6, and no mount namespace to install it"
    swift_install
    swift_checkout=/checkout
    swift_run() {
        swift_enter "$@"
    }
fi
