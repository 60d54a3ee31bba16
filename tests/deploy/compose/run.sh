#!/bin/sh
# `make compose-test`: brings docker-compose.yml up, plays the story in it, compares everything, and takes it down.
#
# Where Docker answers, with the images that the file names. Where none does, as root on Debian, in a Docker of its own: private namespaces,
# nothing of the machine is changed, and stand-ins for the images, made from Debian's packages (standin/). What has no such package (Grafana,
# Tempo, Keycloak) is left out there. COMPOSE_TRIAL keeps that Docker's folder between runs; it is some 5 GB.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cd "$root"

if [ -z "${COMPOSE_TRIAL:-}" ] && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
    exec .venv/bin/python "$here/trial.py"
fi
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || { echo "Docker with compose is needed." >&2; exit 1; }

export COMPOSE_TRIAL="${COMPOSE_TRIAL:-/var/tmp/boxoffice-compose}"
mkdir -p "$COMPOSE_TRIAL"
command -v dockerd >/dev/null && command -v debootstrap >/dev/null || {
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker.io iptables debootstrap
}
"$here/standin/rootfs.sh" "$COMPOSE_TRIAL/rootfs"
mkdir -p "$COMPOSE_TRIAL/config/cli-plugins"
ln -sf "$COMPOSE_TRIAL/rootfs/usr/libexec/docker/cli-plugins/docker-compose" "$COMPOSE_TRIAL/config/cli-plugins/docker-compose"

# With the machine's network, for the packages; then in a network of its own, with bridges and published ports.
"$here/standin/private.sh" host "$here/standin/images.sh"
"$here/standin/private.sh" own "$root/.venv/bin/python" "$here/trial.py" --stand-ins
