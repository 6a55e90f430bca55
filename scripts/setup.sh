#!/usr/bin/env bash
# Install whatever this clone needs and does not find: Debian packages, uv, the locked Python environment.
# Prints what it does. Idempotent. Starts no service and changes none that runs.
set -euo pipefail
cd "$(dirname "$0")/.."
unset VIRTUAL_ENV # an environment that happens to be active is not ours
export PATH="$PATH:/usr/sbin:/sbin"

# command:package that brings it. What is already there, by whatever way, stays as it is.
NEEDED=(
    ovs-vswitchd:openvswitch-switch
    ovs-vsctl:openvswitch-switch
    ovsdb-server:openvswitch-common
    mn:mininet
    ip:iproute2
    ethtool:ethtool
    iperf3:iperf3
    ping:iputils-ping
    git:git
    nft:nftables
    iptables:iptables
    busybox:busybox-static
    containerd:containerd
    runc:runc
    dockerd:docker.io
    docker:docker.io
)
DORMANT=(docker.service docker.socket containerd.service nftables.service)
# Debian enables these when it installs them. The tests start a daemon of their own; nothing here wants the machine's.
UV_AT_LEAST=0.6 # older ones ignore the build constraint that Ryu needs; see [tool.uv] in pyproject.toml
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# ringfence setup: no service starts while packages are installed"

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# --- Debian packages -------------------------------------------------------------------------------

missing_packages() {
    local entry
    for entry in "${NEEDED[@]}"; do
        command -v "${entry%%:*}" >/dev/null || printf '%s\n' "${entry##*:}"
    done | sort -u
}

release_services() { # undo hold_services, also what a killed run left behind
    if [ -e "$POLICY" ] && grep -qxF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
    if [ -e "$POLICY.before-ringfence" ]; then mv "$POLICY.before-ringfence" "$POLICY"; fi
}

hold_services() { # Debian starts a service when its package is installed; 101 from policy-rc.d forbids it
    release_services
    trap release_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -e "$POLICY" ]; then mv "$POLICY" "$POLICY.before-ringfence"; fi
    printf '%s\n' '#!/bin/sh' "$POLICY_MARK" 'exit 101' >"$POLICY"
    chmod 755 "$POLICY"
}

install_packages() {
    command -v apt-get >/dev/null || die "missing: $*. No apt-get here: install them by this system's own means."
    [ "$(id -u)" = 0 ] || die "missing: $*. Run 'sudo apt-get install --no-install-recommends $*', or make setup as root."
    say "installing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update || die "apt-get update failed: check the network and /etc/apt/sources.list*"
    hold_services
    local before
    before=$(enabled_units)
    "${apt[@]}" install -y --no-install-recommends --no-upgrade "$@" || die "apt-get install failed; its words are above"
    release_services
    disable_what_came "$before"
}

enabled_units() { # those of DORMANT that start by themselves when the machine does
    local unit
    for unit in "${DORMANT[@]}"; do
        systemctl --quiet is-enabled "$unit" 2>/dev/null && printf '%s\n' "$unit"
    done
    true
}

disable_what_came() { # what was enabled before the installation stays so
    local unit
    while read -r unit; do
        if [ -z "$unit" ] || grep -qxF "$unit" <<<"$1"; then continue; fi
        say "leaving $unit off; 'systemctl enable --now $unit' if you want it"
        systemctl --quiet disable "$unit"
    done < <(enabled_units)
}

ensure_packages() {
    local missing
    release_services # a run that was killed may have left its hold
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
}

# --- uv and the Python environment -----------------------------------------------------------------

usable_uv() { # prints the first uv that runs and is new enough
    local uv version
    for uv in "$(command -v uv || true)" "$HOME/.local/bin/uv" .tools/uv/bin/uv; do
        [ -n "$uv" ] || continue
        version=$("$uv" --version 2>/dev/null | awk '{print $2}') || continue
        [ -n "$version" ] || continue
        [ "$(printf '%s\n' "$UV_AT_LEAST" "$version" | sort -V | head -n 1)" = "$UV_AT_LEAST" ] || continue
        printf '%s\n' "$uv"
        return
    done
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

system_python() { # prefer Debian's: Mininet lives in its dist-packages
    local python
    for python in /usr/bin/python3 "$(command -v python3 || true)"; do
        if [ -n "$python" ] && is_new_enough "$python"; then
            printf '%s\n' "$python"
            return
        fi
    done
}

install_uv() {
    local python
    python=$(system_python)
    if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3 python3-venv
        python=$(system_python)
    fi
    [ -n "$python" ] || die "no Python 3.11 or later found: install one, or install uv (it brings its own)."
    say "installing uv into .tools/uv"
    "$python" -m venv --clear .tools/uv
    .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=$UV_AT_LEAST" ||
        die "pip could not fetch uv: check the network, or install uv yourself and run this again."
}

ensure_environment() {
    local uv python=()
    uv=$(usable_uv)
    if [ -z "$uv" ]; then
        install_uv
        uv=$(usable_uv)
    fi
    [ -n "$uv" ] || die "the uv in .tools/uv does not run: remove .tools and run this again."
    # An environment that works keeps its Python: a new one would be built under running programs.
    if ! is_new_enough .venv/bin/python; then
        say "making the Python environment in .venv"
        python=(--python "$(system_python)")
        [ "${python[1]}" ] || python=()
    fi
    "$uv" sync --locked "${python[@]}" ||
        die "uv sync failed; its words are above. If it speaks of the lock file, uv.lock and pyproject.toml disagree."
}

main() {
    exec 9<"$0" # one setup at a time in this clone
    flock 9
    ensure_packages
    ensure_environment
    if [ "$(id -u)" != 0 ]; then
        say "note: make demo and the tests with real switches need root (network namespaces)."
    fi
    say "ready: $(.venv/bin/python --version), $(ovs-vswitchd --version | head -n 1), uv $("$(usable_uv)" --version | awk '{print $2}')"
}

main "$@"
