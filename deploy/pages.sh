#!/bin/sh
# Makes frontend/dist, the pages, with the Node that deploy/bootstrap.sh has installed. Does nothing when that is done already.
set -eu
cd "$(dirname "$0")/.."
. deploy/patiently.sh

export PATH="$PWD/.venv/bin:$PATH" npm_config_cache="$PWD/.venv/.npm"
packages=$(cat frontend/package-lock.json frontend/.npmrc | sha256sum)
sources=$(find frontend docs/openapi.json -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/generated/*' | LC_ALL=C sort | xargs sha256sum | sha256sum)

if [ "$(cat frontend/node_modules/.installed 2>/dev/null)" != "$packages" ]; then
    patiently "installing the pages' packages (npm)" npm ci --prefix frontend --loglevel=error
    printf '%s' "$packages" >frontend/node_modules/.installed
fi
if [ "$(cat frontend/dist/.built 2>/dev/null)" != "$sources" ]; then
    patiently "building the pages" npm run --silent --prefix frontend build
    printf '%s' "$sources" >frontend/dist/.built
fi
