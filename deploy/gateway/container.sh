#!/bin/sh
# Runs the gateway in a container: services are found by their names, again whenever these resolve anew, and the log goes to stdout.
#
# BOOKING, PAYMENT, REFUND and NOTIFICATION are host:port; RESOLVER is the name server; the rest is as README.md beside this says.
# With --render it only writes the configuration.
set -eu
here=$(dirname "$0")
export STATE_DIR="${STATE_DIR:-/tmp/gateway}" LISTEN_PORT="${LISTEN_PORT:-8080}" PAGES_DIR="${PAGES_DIR:-$here/pages}"
mkdir -p "$STATE_DIR"

upstreams=''
for service in booking payment refund notification; do
    name=$(printf %s "$service" | tr a-z A-Z)
    eval "address=\${$name:-$service:8000}"
    upstreams="$upstreams
        s/upstream $service { server 127\.0\.0\.1:\${${name}_PORT};/upstream $service { zone $service 64k; server $address resolve;/"
done

# Only what is in braces and capitals is ours; all else that begins with a dollar is nginx's own.
ours=$(grep -o '\${[A-Z_]*}' "$here/nginx.conf.template" | sort -u | tr '\n' ' ')
sed -e "$upstreams" \
    -e 's/listen 127\.0\.0\.1:/listen /' \
    -e "s/^http {/http {\n    resolver ${RESOLVER:-127.0.0.11} valid=5s ipv6=off;/" \
    -e 's#access_log "[^"]*"#access_log /dev/stdout#' \
    "$here/nginx.conf.template" | envsubst "$ours" > "$STATE_DIR/nginx.conf"

if grep -nE '127\.0\.0\.1:|\$\{[A-Z_]+\}' "$STATE_DIR/nginx.conf"; then
    echo "nginx.conf.template has an address that this script does not know." >&2
    exit 1
fi
[ "${1:-}" = --render ] || exec nginx -e stderr -p "$STATE_DIR/" -c nginx.conf
