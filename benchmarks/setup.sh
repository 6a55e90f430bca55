#!/usr/bin/env bash
# Install the peers that `make bench` measures beside and does not find: OVN 23.03 and iperf3, from Debian.
# Idempotent. Starts no service: the benchmarks run their own private instances.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

# command:package that brings it
NEEDED=(ovn-northd:ovn-central ovn-nbctl:ovn-common ovn-controller:ovn-host iperf3:iperf3)
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# ringfence bench: no service starts while packages are installed"

release_services() { # undo hold_services, also what a killed run left behind
    if [ -e "$POLICY" ] && grep -qxF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
    if [ -e "$POLICY.before-bench" ]; then mv "$POLICY.before-bench" "$POLICY"; fi
}

hold_services() { # Debian starts a service when its package is installed; 101 from policy-rc.d forbids it
    trap release_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -e "$POLICY" ]; then mv "$POLICY" "$POLICY.before-bench"; fi
    printf '%s\n' '#!/bin/sh' "$POLICY_MARK" 'exit 101' >"$POLICY"
    chmod 755 "$POLICY"
}

missing=()
for entry in "${NEEDED[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ "${#missing[@]}" != 0 ] || exit 0
release_services
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf 'bench: missing: %s. Install them, or run this as root on Debian.\n' "${missing[*]}" >&2
    exit 1
fi
printf 'bench: installing Debian packages: %s\n' "${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
hold_services
"${apt[@]}" install -y --no-install-recommends --no-upgrade "${missing[@]}"
