#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the source distribution, and the wheel from that, offline and with the system's packages
# alone; installs it into an environment of its own, and runs what it installs.
# usage: wheel.sh SOURCE_DIR PYTHON
set -euo pipefail
source=$1 python=$2
folder=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT

# What is in a clone, without what was built in it.
mkdir "$folder/source"
for part in CMakeLists.txt LICENSE MANIFEST.in README.md cmake include pyproject.toml python \
    setup.py src; do
    cp -r "$source/$part" "$folder/source"
done
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
"$python" -m venv --system-site-packages "$folder/environment"
unset PYTHONPATH
"$folder/environment/bin/python" -m build --no-isolation --outdir "$folder" "$folder/source"
"$folder/environment/bin/python" -m pip install -q "$folder"/*.whl

cd "$folder"
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
timeout 60 environment/bin/nq-test-api tcp server --port "$port" >server.txt 2>&1 &
server=$!
timeout 60 environment/bin/nq-test-api tcp client --port "$port"
wait "$server"
server=
grep -q 'server: all .* steps ok' server.txt
timeout 60 environment/bin/nq-test-iops tcp server sync --max-size 20 --port "$port" &
server=$!
timeout 60 environment/bin/nq-test-iops tcp client sync --max-size 20 --port "$port"
wait "$server"
server=
