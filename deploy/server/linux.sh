#!/usr/bin/env bash
# Prepares a Linux server for MAC forwarding: it takes packets for the cluster addresses, and leaves ARP for them to the
# dispatcher.
#
#   linux.sh add ADDRESS...       until the next boot
#   linux.sh remove ADDRESS...
#   linux.sh check ADDRESS...     1: something is missing, with one line for each thing
#
# To have it at every boot: the addresses on lo in the system's own network configuration, and
#   net.ipv4.conf.all.arp_ignore = 1
#   net.ipv4.conf.all.arp_announce = 2
# in a file under /etc/sysctl.d.
set -euo pipefail

usage() {
  sed -n '5,7s/^#   //p' "$0" >&2
  exit 2
}

prefix() {
  case $1 in *:*) echo "$1/128" ;; *) echo "$1/32" ;; esac
}

family() {
  case $1 in *:*) echo -6 ;; *) echo -4 ;; esac
}

# 1: an interface answers for its own addresses alone, not for those on lo. 2: questions to others are asked from an
# address of the interface; one that is asked from the cluster address would move it in their tables.
settings='arp_ignore:1 arp_announce:2'

add() {
  local setting
  for setting in $settings; do
    echo "${setting#*:}" >"/proc/sys/net/ipv4/conf/all/${setting%:*}"
  done
  # IPv6 answers for addresses of the receiving interface alone; without duplicate detection, which would find the others.
  ip "$(family "$1")" address replace "$(prefix "$1")" dev lo $([ "$(family "$1")" = -4 ] || echo nodad)
}

remove() {
  ip "$(family "$1")" address del "$(prefix "$1")" dev lo
}

check() {
  local setting good=0
  if ! ip -o address show dev lo to "$1" | grep -q .; then
    echo "$1 is not on lo: $0 add $1"
    good=1
  fi
  if [ "$(ip -o address show to "$1" | grep -vc ' lo ' || true)" -gt 0 ]; then
    echo "$1 is on an interface besides lo, which answers ARP for it"
    good=1
  fi
  for setting in $settings; do
    if [ "$(cat "/proc/sys/net/ipv4/conf/all/${setting%:*}")" -lt "${setting#*:}" ]; then
      echo "net.ipv4.conf.all.${setting%:*} is less than ${setting#*:}"
      good=1
    fi
  done
  return $good
}

[ $# -ge 2 ] || usage
verb=$1
shift
case $verb in add | remove | check) ;; *) usage ;; esac
result=0
for address in "$@"; do
  "$verb" "$address" || result=1
done
exit $result
