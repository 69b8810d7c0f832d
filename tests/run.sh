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

# What the reader must not miss; told again at the end.
notes=()
note() { notes+=("$*") && say "$*"; }

# shellcheck source=tests/kernels.sh
. tests/kernels.sh

# One attribute of the counters in a .trx file.
counter() { sed -n "s/.*<Counters[^>]* $2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

passed=0 failed=0 skipped=0

# Two projects are tested at a time: several of them wait for browsers and kernels most of the while. The longest come first, so that
# no long one is left over at the end; a project that is not named here follows them.
at_once=2
longest_first="Exploration Frontends Notebooks Cli Jupyter Machine Linux Patching Experiments Interactive"

declare -A running=() started=()

begin_project() {
    local project=$1 name
    name=$(basename "$(dirname "$project")")
    say "$name begins"
    # A background job of a script ignores SIGINT, and so would all that the tests start and interrupt.
    env --default-signal=INT,QUIT timeout --kill-after=20 900 dotnet test "$project" -c Release --no-build --results-directory "$results" \
        --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" </dev/null >"$results/$name.log" 2>&1 &
    running[$!]=$name
    started[$!]=$SECONDS
}

# Waits for one of the projects that are running, and counts its tests.
end_project() {
    local pid='' name trx status=0 total=0 executed=0 good=0
    wait -n -p pid "${!running[@]}" || status=$?
    if [ -z "${pid:-}" ]; then
        # One that a signal has ended may have been told of already; wait -n (bash 5.2) then passes over it, but its status is kept.
        for pid in "${!running[@]}"; do kill -0 "$pid" 2>/dev/null || break; done
        status=0
        wait "$pid" || status=$?
    fi
    name=${running[$pid]}
    trx=$results/$name.trx
    say "$name, $((SECONDS - started[$pid])) s"
    unset "running[$pid]"
    cat "$results/$name.log"
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

# What is running is ended with all that it started: timeout hands the signal on to its group.
stop_projects() {
    [ "${#running[@]}" -gt 0 ] || return 0
    kill "${!running[@]}" 2>/dev/null || true
    wait "${!running[@]}" 2>/dev/null || true
    running=()
}

run_projects() {
    local project
    for project in "$@"; do
        [ "${#running[@]}" -lt "$at_once" ] || end_project
        begin_project "$project"
    done
    while [ "${#running[@]}" -gt 0 ]; do end_project; done
}

# The house comes first: it takes a second, and what it finds is quickly mended.
in_order() {
    local name project
    for name in House $longest_first; do
        project=tests/LivePatchLab.$name.Tests/LivePatchLab.$name.Tests.csproj
        [ ! -f "$project" ] || echo "$project"
    done
    for project in tests/*.Tests/*.csproj; do
        name=${project#tests/LivePatchLab.} name=${name%%.*}
        case " House $longest_first " in *" $name "*) ;; *) echo "$project" ;; esac
    done
}

finish() {
    local told
    for told in "${notes[@]}"; do say "$told"; done
    if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] || exit 1
}

command -v dotnet >/dev/null || { echo "run.sh: there is no dotnet here; install the .NET SDK that global.json names" >&2; exit 2; }
# "wait -n -p" came with 5.1.
[ $((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1])) -ge 501 ] || { echo "run.sh: this is bash $BASH_VERSION; it takes 5.1 or later" >&2; exit 2; }
install_tools
fetch_kernels

say "building"
if ! dotnet build LivePatchLab.sln -c Release -clp:NoSummary -v:minimal </dev/null; then
    say "the build failed: counted as one failure"
    failed=1
    finish
fi

rm -rf "$results"
mkdir -p "$results"
# A second signal must not cut the stopping short: what is still running would then stay.
trap stop_projects EXIT
trap "trap '' INT TERM HUP; exit 130" INT
trap "trap '' INT TERM HUP; exit 143" TERM HUP
mapfile -t projects < <(in_order)
run_projects "${projects[@]}"
finish
