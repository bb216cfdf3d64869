#!/bin/sh
# Builds an image's tree without Docker and runs from it, as another user, what the images run:
#
#     sudo sh deploy/docker/try.sh FOLDER
set -eu
root=${1:?usage: try.sh FOLDER}
here=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "try.sh needs root, to become another user" >&2; exit 1; }
[ -e "$root/app" ] && chmod -R u+w "$root/app" && rm -rf "$root/app"
PYTHON=${PYTHON:-/usr/bin/python3} sh "$here/deploy/docker/tree.sh" "$root"
bin="$root/opt/carelane/bin"
as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs env -i PATH=$bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1"
cd "$root/app"
$as_nobody sh -c 'touch shared/written' 2>/dev/null && { echo "the program can be written to" >&2; exit 1; }
$as_nobody carelane settings > /dev/null
$as_nobody python -c "
from workers.fast_tier.tier import FastTier, SHIPPED
from workers.deid.deidentifier import Deidentifier
print('model', FastTier.load(SHIPPED).version)
assert '[NAME' in Deidentifier.load().mask('My name is Maria Lopez, call me').text
from shared.queues import TEMPLATE
assert TEMPLATE.exists()
"
port=${PORT:-18000}
$as_nobody CARELANE_HMAC_KEY=0123456789012345678901234567890123456789 \
  CARELANE_DATABASE_URL=postgresql://nobody@127.0.0.1:1/none \
  gunicorn --bind 127.0.0.1:$port --worker-class gthread --threads 4 --worker-tmp-dir /dev/shm \
  --no-control-socket 'producer.app:create_app()' &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 60); do
  if $as_nobody python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/healthz', timeout=2)" 2>/dev/null; then
    echo "the intake lives, as user 65534, from $root"
    kill -TERM $server && wait $server && exit 0
  fi
  sleep 0.5
done
echo "the intake did not come up" >&2
exit 1
