# shellcheck shell=bash
# For run.sh: gets real kernels to read. Each is of one release, whose counts the tests know.

# Package, suite that has it, and the packages of which the newest stands in where that release is gone.
kernels="
linux-image-5.10.0-46-cloud-amd64 bullseye-security linux-image-5\.10\.0-[0-9]+-cloud-amd64
linux-image-6.1.0-56-cloud-amd64 bookworm-security linux-image-6\.1\.0-[0-9]+-cloud-amd64
linux-image-6.1.0-56-amd64 bookworm-security linux-image-6\.1\.0-[0-9]+-amd64
linux-image-6.12.117+deb12-cloud-amd64 bookworm-security linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64
linux-binary-7.2.13+deb14-cloud-amd64 sid linux-binary-7\.[0-9.]+\+deb14-cloud-amd64
"

# The release that a package holds, as uname -r prints it.
release_of() { sed -E 's/^linux-(image|binary)-//' <<<"$1"; }

# The newest release in the cache that could stand in, or nothing.
stand_in() {
    local file release
    for file in "$cache"/vmlinuz-*; do
        release=${file##*/vmlinuz-}
        ! printf 'linux-image-%s\nlinux-binary-%s\n' "$release" "$release" | grep -Ex -- "$1" >/dev/null || echo "$release"
    done | sort -V | tail -n 1
}

# Where the computer's own package sources have Debian's archive, by the label of the repository.
repository() { apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n "s/^$1 //p" | sort -u | sed -n 1p; }

# Runs apt with sources, lists and a cache of our own, so that nothing of this computer changes.
archive() {
    local program=$1
    shift
    "$program" -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@" </dev/null 2>/dev/null
}

# Fetches what some suites of Debian's hold; this computer may be of another release.
open_archive() {
    local main security suite where keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    main=$(repository Debian)
    if [ -z "$main" ]; then
        update_lists
        main=$(repository Debian)
    fi
    [ -n "$main" ] || return 1
    security=$(repository Debian-Security)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    for suite in "$@"; do
        case $suite in *-security) where=${security:-${main%/}-security/} ;; *) where=$main ;; esac
        if [ -f "$keyring" ]; then echo "deb [signed-by=$keyring] $where $suite main"; else echo "deb $where $suite main"; fi
    done >"$work/sources.list"
    say "fetching what $* hold"
    # One suite that is not to be had does not keep the others away.
    archive apt-get update >/dev/null || true
}

# Unpacks a package into the cache; nothing is installed. Moved, so that a run that is broken off leaves no half an image behind.
fetch_package() {
    local package=$1 image unpacked
    [ -n "$package" ] && archive apt-cache pkgnames "$package" | grep -Fx -- "$package" >/dev/null || return 1
    say "fetching $package"
    image=$cache/vmlinuz-$(release_of "$package")
    unpacked=$(mktemp -d "$work/unpacked.XXXXXX")
    (cd "$unpacked" && archive apt-get download "$package" && dpkg -x ./*.deb tree && mv "$(find tree -name 'vmlinuz*' -type f)" "$image") >/dev/null 2>&1 || true
    rm -rf "$unpacked"
    [ -f "$image" ]
}

fetch_kernels() {
    local cache work package suite series found missing=() suites=()
    if [ -n "${LIVEPATCH_KERNELS:-}" ]; then
        say "kernel images: $LIVEPATCH_KERNELS"
        return 0
    fi
    if [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ]; then cache=${XDG_CACHE_HOME:-$HOME/.cache}/livepatchlab/kernels; else cache=$root/artifacts/kernels; fi
    mkdir -p "$cache"
    while read -r package suite series; do
        [ -n "$package" ] && [ ! -f "$cache/vmlinuz-$(release_of "$package")" ] || continue
        # Where another stands in, the archive is asked once a day.
        [ -z "$(stand_in "$series")" ] || [ -z "$(find "$cache/asked" -mtime -1 2>/dev/null)" ] || continue
        missing+=("$package" "$series")
        suites+=("$suite")
    done <<<"$kernels"
    if [ "${#missing[@]}" -gt 0 ] && has_apt && command -v dpkg >/dev/null; then
        work=$(mktemp -d "$cache/fetching.XXXXXX")
        # shellcheck disable=SC2064
        trap "rm -rf '$work'" EXIT
        mapfile -t suites < <(printf '%s\n' "${suites[@]}" | sort -u)
        if open_archive "${suites[@]}"; then
            set -- "${missing[@]}"
            while [ $# -gt 0 ]; do
                fetch_package "$1" || fetch_package "$(archive apt-cache pkgnames linux- | grep -Ex -- "$2" | sort -V | tail -n 1)" || true
                shift 2
            done
            touch "$cache/asked"
        fi
        rm -rf "$work"
        trap - EXIT
    fi
    while read -r package suite series; do
        [ -n "$package" ] && [ ! -f "$cache/vmlinuz-$(release_of "$package")" ] || continue
        found=$(stand_in "$series")
        if [ -n "$found" ]; then
            note "ATTENTION: kernel $(release_of "$package") is not to be had and $found stands in: the exact counts of the former are not checked, only what holds of any release"
        else
            note "ATTENTION: no kernel like $(release_of "$package") here (it takes root, apt-get and Debian's archive): tests on it are skipped unless /boot has one"
        fi
    done <<<"$kernels"
    export LIVEPATCH_KERNELS=$cache
    say "kernel images: $LIVEPATCH_KERNELS"
}
