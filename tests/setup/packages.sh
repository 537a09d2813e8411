#!/usr/bin/env bash
# Installs the Debian packages whose programs the tests use, without letting any service of theirs start.
#
#   packages.sh [WHO PROGRAM:PACKAGE...]     for WHO (tests, bench), instead of those that the tests use; what is no
#                                            program is named by its path
#
# Tests skip what is missing and benches leave it out, each with one line, so nothing here is fatal: without root,
# without apt or without a network this script says in one line what is missing and ends with 0.
set -euo pipefail

# promtool reads our metrics and alert rules; curl speaks to the daemon as a stranger would; haproxy and nginx stand
# before and behind it with the PROXY protocol. ip and ethtool build the networks of tests/netns, arping and ping ask there, nft
# loses packets. Two instances of Tomcat are application servers with jvmRoutes. nghttp and h2load, OpenSSL and Python's
# websockets and grpc are clients of HTTP/2 and TLS.
[ "$#" -gt 0 ] || set -- tests promtool:prometheus curl:curl haproxy:haproxy nginx:nginx \
  nghttp:nghttp2-client openssl:openssl /usr/bin/python3:python3 \
  /usr/lib/python3/dist-packages/websockets:python3-websockets /usr/lib/python3/dist-packages/grpc:python3-grpcio \
  ip:iproute2 ethtool:ethtool arping:arping ping:iputils-ping nft:nftables \
  java:default-jre-headless tomcat10-instance-create:tomcat10-user
who=$1
wanted=("${@:2}")

# Asked by invoke-rc.d, and so by every maintainer script, before it starts a service.
policy=${TSUJI_POLICY_RC_D:-/usr/sbin/policy-rc.d}

missing_packages() {
  local pair
  for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || [ -e "${pair%%:*}" ] || printf '%s\n' "${pair#*:}"
  done
}

# Says no to every start for as long as this script runs. A policy that is there already belongs to somebody: it is
# not touched, and only one that exits 101 keeps services from starting, so any other one stops us.
forbid_services() {
  if [ -e "$policy" ] || [ -L "$policy" ]; then
    local answer=0
    "$policy" "${missing[0]}" start >/dev/null 2>&1 </dev/null || answer=$?
    [ "$answer" -eq 101 ]
    return
  fi
  # Written aside and linked: the policy appears whole or not at all, and never over another one. What we take away in
  # the end is only what is still ours.
  own=$(mktemp "$policy.XXXXXX") || return
  trap restore EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  printf '#!/bin/sh\n# Written by tests/setup/packages.sh while it installs; safe to remove.\nexit 101\n' >"$own" &&
    chmod 755 "$own" && ln "$own" "$policy"
}

restore() {
  if [ "$policy" -ef "$own" ]; then rm -f "$policy"; fi
  rm -f "$own"
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  local apt=(timeout 600 apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"
}

mapfile -t missing < <(missing_packages)
[ "${#missing[@]}" -gt 0 ] || exit 0

say() { printf '%s: %s; what needs them is left out\n' "$who" "$*" >&2; }

if ! command -v apt-get >/dev/null 2>&1; then
  say "missing programs of Debian's packages ${missing[*]}, and there is no apt-get here"
elif [ "$(id -u)" -ne 0 ]; then
  say "missing Debian packages: ${missing[*]} (as root: apt-get install ${missing[*]})"
elif ! forbid_services; then
  say "missing Debian packages: ${missing[*]}; not installed, because $policy would let their services start"
elif ! log=$(install "${missing[@]}" 2>&1); then
  say "missing Debian packages: ${missing[*]}; apt-get failed: $(printf '%s' "$log" | grep -m1 '^E:' || true)"
fi
