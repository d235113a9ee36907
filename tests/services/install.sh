#!/usr/bin/env bash
# Installs the real services the tests run against, from Debian packages. Run as root; safe to run again.
# The packages' own services are kept from starting: the tests start theirs, on ports and in folders of their own.
set -euo pipefail

packages=(
    redis-server postgresql
    radosgw ceph-mon ceph-osd
    wordpress php-cli php-mysql php-gd php-curl php-xml php-mbstring mariadb-server
    chromium fonts-wqy-microhei
    prometheus libimage-exiftool-perl
)

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "must run as root, not as $(id -un); try: sudo $0"
command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    fail "apt-get is missing; this script knows Debian and its children only"

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "install.sh: already installed: ${packages[*]}"
    exit 0
fi

# invoke-rc.d asks this file whether it may start a service; 101 means no. One that is already there is respected.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "${missing[@]}"
echo "install.sh: installed: ${missing[*]}"
