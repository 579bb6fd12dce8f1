#!/usr/bin/env bash
# A real S3 server on the loopback address: Ceph's gateway over one monitor and one store in memory, for tests and trials.
#
#   rgw.sh --install               Debian's packages, by apt, without starting their services; needs root
#   rgw.sh start FOLDER            starts it with its files in FOLDER and prints its address
#   rgw.sh stop FOLDER             stops what `start` began, by the process ids that it wrote
#
# PORT (7480), MON_PORT (6789) and SIZE (bytes of the store, 2 GiB) are taken from the environment. Key S2KEY, secret
# S2SECRET, addresses in path style. Nothing is authenticated between the daemons: never on another address.
set -euo pipefail

packages="ceph-mon ceph-osd radosgw ceph-common"
needed="ceph-mon ceph-osd radosgw radosgw-admin ceph-authtool monmaptool"

fail() { echo "rgw.sh: $*" >&2; exit 1; }

install_packages() {
  [ "$(id -u)" = 0 ] || fail "apt needs root"
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"   # invoke-rc.d: 101 is "action forbidden by policy"
    chmod +x "$policy"
    trap 'rm -f '"$policy" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # a list of words
  apt-get install -y --no-install-recommends $packages || { apt-get update && apt-get install -y --no-install-recommends $packages; }
}

write_configuration() {
  cat > "$folder/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v1:127.0.0.1:$mon_port
mon initial members = a
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
keyring = $folder/keyring
run dir = $folder/run
pid file = $folder/run/\$name.pid
admin socket = $folder/run/\$name.asok
log file = $folder/log/\$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = $folder/mon
mon addr = v1:127.0.0.1:$mon_port
[osd.0]
osd data = $folder/osd
osd objectstore = memstore
memstore device bytes = $size
osd class load list = *
osd class default list = *
[client.rgw]
rgw data = $folder/rgw
rgw frontends = beast endpoint=127.0.0.1:$port
rgw enable usage log = false
CONF
}

start() {
  local program conf="$folder/ceph.conf" who
  for program in $needed; do command -v "$program" > /dev/null || fail "no $program: rgw.sh --install"; done
  fsid=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$folder"/{mon,osd,rgw,run,log}
  write_configuration
  who=(--setuser "$(id -un)" --setgroup "$(id -gn)")
  ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *' > /dev/null
  ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' > /dev/null
  monmaptool --create --addv a "[v1:127.0.0.1:$mon_port/0]" --fsid "$fsid" "$folder/monmap" > /dev/null
  ceph-mon -c "$conf" -i a --mkfs --monmap "$folder/monmap" --keyring "$folder/keyring"
  ceph-mon -c "$conf" -i a "${who[@]}"
  # it makes its files, then waits for a key that nothing asks for: the limit ends it
  timeout 20 ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)" > /dev/null 2>&1 || true
  # it may ask before it has heard which cluster it is in, is told "wrong fsid", and ends: then it is started again
  for _ in $(seq 5); do
    if ceph-osd -c "$conf" -i 0 "${who[@]}" > /dev/null; then break; fi
    sleep 0.5
  done
  timeout 60 radosgw -c "$conf" -n client.rgw "${who[@]}" || { stop; fail "no gateway: see $folder/log"; }
  for _ in $(seq 300); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then break; fi
    sleep 0.2
  done
  timeout 60 radosgw-admin -c "$conf" user create --uid s2 --display-name s2 --access-key S2KEY --secret-key S2SECRET \
    > /dev/null 2> "$folder/log/admin.log" || fail "no user: see $folder/log/admin.log"
  echo "http://127.0.0.1:$port"
}

stop() {
  local file
  for file in "$folder"/run/*.pid; do
    if [ -s "$file" ]; then
      kill -CONT "$(cat "$file")" 2> /dev/null || true   # a frozen process does not hear the other signal
      kill -KILL "$(cat "$file")" 2> /dev/null || true
      rm -f "$file"
    fi
  done
}

case "${1:-}" in
  --install) install_packages ;;
  start | stop)
    folder=$(realpath -m "${2:?folder}") port=${PORT:-7480} mon_port=${MON_PORT:-6789} size=${SIZE:-2147483648}
    "$1" ;;
  *) fail "usage: rgw.sh --install | start FOLDER | stop FOLDER" ;;
esac
