#!/bin/sh
# Puts the files of an image under a folder: what the Dockerfile runs, and what can be tried without one.
#
#     sh deploy/docker/tree.sh ROOT        program and its Python packages, by hash
#     sh deploy/docker/tree.sh ROOT code   the program alone
#
# Under ROOT: /app (the program, readable by all, writable by nobody) and /opt/carelane (its packages).
set -eu
root=${1:?usage: tree.sh ROOT [code]}
what=${2:-all}
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}

mkdir -p "$root/app/deploy"
for part in producer workers dashboard shared migrations; do
  cp -R "$here/$part" "$root/app/"
done
cp "$here/setup.cfg" "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$root/app/"
cp "$here/deploy/queues.yaml" "$root/app/deploy/"
cp -R "$here/deploy/postgres" "$root/app/deploy/"
find "$root/app" -name __pycache__ -type d -prune -exec rm -rf {} +
if [ "$what" = all ]; then
  "$python" -m venv "$root/opt/carelane"
  pip="$root/opt/carelane/bin/pip install -q --disable-pip-version-check --no-input --no-deps --no-cache-dir"
  $pip --require-hashes -r "$here/requirements/runtime.txt"
  (cd "$root/app" && $pip --no-build-isolation --config-settings editable_mode=compat -e .)
fi
# A process may read everything here and change nothing.
chmod -R a+rX,a-w "$root/app"
