#!/usr/bin/env bash
# Builds the lab and runs all its tests. As root on Debian it first installs what some of them need; elsewhere those tests are
# skipped and say why. The last line counts all projects together: N passed, N failed, N skipped.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
results=$root/artifacts/test-results
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
# A build node that outlives the build keeps our standard output open, and whoever reads it waits for the node.
export MSBUILDDISABLENODEREUSE=1

say() { printf '== %s\n' "$*"; }

# The program that is looked for, and the Debian package that has it.
tools="gcc:gcc xz:xz-utils zstd:zstd chromium:chromium qemu-x86_64:qemu-user"

# The same for libraries, by the name under which a program loads them.
libraries="libzmq.so.5:libzmq5"

# The same for modules of Debian's own Python; another one may come first in PATH, and has not got them.
python=/usr/bin/python3
modules="notebook:jupyter-notebook nbconvert:python3-nbconvert jupyter_kernel_test:python3-jupyter-kernel-test"

apt() { apt-get -y -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null; }

has_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Package lists are fetched once, and only when something is missing.
updated=
update_lists() {
    [ -z "$updated" ] || return 0
    updated=yes
    say "fetching the package lists"
    apt update >/dev/null 2>&1 || say "the package lists cannot be fetched; going on with those that are here"
}

has_library() { compgen -G "/usr/lib/*/$1" >/dev/null || compgen -G "/usr/lib*/$1" >/dev/null; }

has_module() { [ -x "$python" ] && "$python" -I -c "import $1" >/dev/null 2>&1; }

missing_tools() {
    local pair
    for pair in $tools; do command -v "${pair%%:*}" >/dev/null || printf '%s ' "${pair#*:}"; done
    for pair in $libraries; do has_library "${pair%%:*}" || printf '%s ' "${pair#*:}"; done
    for pair in $modules; do has_module "${pair%%:*}" || printf '%s ' "${pair#*:}"; done
}

install_tools() {
    local missing package
    missing=$(missing_tools)
    [ -n "$missing" ] || return 0
    if has_apt; then
        update_lists
        say "installing $missing"
        export DEBIAN_FRONTEND=noninteractive
        # One that cannot be had must not keep the others away.
        # shellcheck disable=SC2086
        apt install --no-install-recommends $missing >/dev/null 2>&1 ||
            for package in $missing; do apt install --no-install-recommends "$package" >/dev/null 2>&1 || true; done
        missing=$(missing_tools)
    fi
    [ -z "$missing" ] || say "not here, so what needs them is skipped: $missing"
}

# A real kernel to read: the package is unpacked into a cache, not installed, so nothing of this computer changes.
fetch_kernel() {
    local cache package work
    if [ -n "${LIVEPATCH_KERNELS:-}" ]; then
        say "kernel images: $LIVEPATCH_KERNELS"
        return 0
    fi
    if [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ]; then cache=${XDG_CACHE_HOME:-$HOME/.cache}/livepatchlab/kernels; else cache=$root/artifacts/kernels; fi
    if ! compgen -G "$cache/vmlinuz-6.1.*-cloud-amd64" >/dev/null && has_apt && command -v dpkg >/dev/null; then
        update_lists
        package=$(apt-cache pkgnames linux-image-6.1.0- | grep -E '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' | sort -V | tail -n 1 || true)
        if [ -n "$package" ] && mkdir -p "$cache" && work=$(mktemp -d "$cache/unpack.XXXXXX"); then
            say "fetching $package"
            if (cd "$work" && apt -o APT::Sandbox::User=root download "$package" >/dev/null 2>&1 && dpkg -x ./*.deb tree); then
                # Moved, so that a run that is broken off leaves no half an image behind.
                mv "$work"/tree/boot/vmlinuz-* "$cache/"
            fi
            rm -rf "$work"
        fi
    fi
    if compgen -G "$cache/vmlinuz-6.1.*-cloud-amd64" >/dev/null; then
        export LIVEPATCH_KERNELS=$cache
        say "kernel images: $LIVEPATCH_KERNELS"
    else
        say "no Debian 6.1 kernel image here (it takes root, apt-get and a network): tests on a real kernel are skipped unless /boot has one"
    fi
}

# One attribute of the counters in a .trx file.
counter() { sed -n "s/.*<Counters[^>]* $2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

passed=0 failed=0 skipped=0

run_project() {
    local project=$1 name trx status=0 total=0 executed=0 good=0
    name=$(basename "$(dirname "$project")")
    trx=$results/$name.trx
    say "$name"
    timeout --kill-after=20 900 dotnet test "$project" -c Release --no-build --results-directory "$results" \
        --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" </dev/null || status=$?
    if [ -f "$trx" ]; then
        total=$(counter "$trx" total) executed=$(counter "$trx" executed) good=$(counter "$trx" passed)
    fi
    # Skipped tests are counted in the total only.
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${executed:-0} - ${good:-0}))
    skipped=$((skipped + ${total:-0} - ${executed:-0}))
    if [ "$status" -ne 0 ] && [ "${executed:-0}" -eq "${good:-0}" ]; then
        say "$name ended with status $status though no test of it failed: counted as one failure"
        failed=$((failed + 1))
    fi
}

finish() {
    if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] || exit 1
}

command -v dotnet >/dev/null || { echo "run.sh: there is no dotnet here; install the .NET SDK that global.json names" >&2; exit 2; }
install_tools
fetch_kernel

say "building"
if ! dotnet build LivePatchLab.sln -c Release -clp:NoSummary -v:minimal </dev/null; then
    say "the build failed: counted as one failure"
    failed=1
    finish
fi

rm -rf "$results"
# The house comes first: it takes a second, and what it finds is quickly mended.
run_project tests/LivePatchLab.House.Tests/LivePatchLab.House.Tests.csproj
for project in tests/*.Tests/*.csproj; do
    case $project in *House.Tests*) ;; *) run_project "$project" ;; esac
done
finish
