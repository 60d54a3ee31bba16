#!/bin/sh
# private.sh host|own COMMAND...: runs COMMAND beside a Docker daemon in a mount namespace of its own, whose /sys/fs/cgroup is plain cgroup2
# (runc refuses the hybrid form), and with `own` in a network namespace of its own too: bridges, NAT and ports stay inside it.
set -eu
network=$1; shift
inside='
    umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
    if [ "$NETWORK" = own ]; then
        mount -t sysfs none /sys; mount -t cgroup2 none /sys/fs/cgroup; ip link set lo up; bridges=""
    else
        bridges="--bridge=none --iptables=false --ip-masq=false"
    fi
    cd "$COMPOSE_TRIAL"
    dockerd --data-root "$PWD/data" --exec-root "$PWD/exec" -p "$PWD/pid" -H "unix://$PWD/socket" $bridges > dockerd.log 2>&1 &
    daemon=$!
    trap "kill $daemon; wait $daemon" EXIT
    export DOCKER_HOST="unix://$PWD/socket" DOCKER_CONFIG="$PWD/config" DOCKER_BUILDKIT=0
    for _ in $(seq 300); do docker version > /dev/null 2>&1 && break; sleep 0.1; done
    cd "$WORKING"
    "$@"
'
export NETWORK="$network" WORKING="$PWD"
case $network in
    own) exec unshare -m -n --propagation slave sh -ec "$inside" sh "$@" ;;
    host) exec unshare -m --propagation slave sh -ec "$inside" sh "$@" ;;
esac
