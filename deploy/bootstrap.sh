#!/bin/sh
# Makes .venv with everything that requirements.lock names, and Boxoffice itself in it. Does nothing when that is done already.
# Needs Python 3.11 to 3.13; what Debian and Ubuntu leave out of theirs (venv) is installed when this runs as root.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9

. deploy/patiently.sh

fitting() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3 /usr/bin/python3.1[123] /usr/local/bin/python3.1[123]; do
        path=$(command -v "$candidate") || continue
        if fitting "$path"; then
            printf '%s' "$path"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed and was not found. Name one with PYTHON=/path/to/python3."
}

python=$(find_python)
wanted=$( { cat requirements.lock pyproject.toml deploy/bootstrap.sh; pwd; "$python" -VV; } | sha256sum)
stamp=.venv/.installed
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0

# Caches below a home folder that cannot be written would stop both installers.
if ! mkdir -p "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}" 2>/dev/null || ! [ -w "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}" ]; then
    export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore UV_LINK_MODE="${UV_LINK_MODE:-copy}"

# The machine's own certificates, where it has some: a proxy's are among them.
[ ! -s /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package="python$version-venv"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "Python's venv module is missing. Run: sudo apt-get install -y $package"
    fi
    export DEBIAN_FRONTEND=noninteractive
    patiently "reading the package lists (apt)" sh -c 'apt-get -o DPkg::Lock::Timeout=300 update -qq || true'
    patiently "installing $package (apt)" apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$package"
fi

if ! [ -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! fitting .venv/bin/python; then
    patiently "making .venv with Python $version" "$python" -m venv --clear .venv
fi
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    patiently "installing uv $UV_VERSION" .venv/bin/python -m pip install -q "uv==$UV_VERSION"
fi

patiently "installing Python packages from requirements.lock" .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes requirements.lock
patiently "installing boxoffice" .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
printf '%s' "$wanted" >"$stamp"
