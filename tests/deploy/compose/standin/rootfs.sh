#!/bin/sh
# rootfs.sh FOLDER: Debian 13 with the servers that the stand-ins are made of. Done once.
set -eu
folder=$1
[ ! -e "$folder.made" ] || exit 0
rm -rf "$folder"
debootstrap --variant=minbase trixie "$folder" > "$folder.log"
cp /etc/resolv.conf "$folder/etc/"
printf '#!/bin/sh\nexit 101\n' > "$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
chroot "$folder" apt-get update -qq
chroot "$folder" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    ca-certificates curl wget gettext-base python3 python3-venv rabbitmq-server nginx-light prometheus prometheus-alertmanager \
    docker-compose nodejs npm >> "$folder.log" 2>&1
chroot "$folder" apt-get clean
# The machine's own certificates: a proxy's are among them.
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
touch "$folder.made"
