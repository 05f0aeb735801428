#!/usr/bin/env bash
# Fetches the client libraries that the tests here talk through, in the versions
# that requirements.txt and package-lock.json name, into $RAPPORT_CLIENTS or the
# cache of the person who runs it. Does nothing when they are there. Needs Python
# 3 with venv, and Node with npm.
set -euo pipefail
cd "$(dirname "$0")"
dir=${RAPPORT_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/rapport-clients}

if cmp -s requirements.txt "$dir/requirements.txt" && cmp -s package-lock.json "$dir/package-lock.json"; then
  exit 0
fi
mkdir -p "$dir"
rm -f "$dir/requirements.txt" # copied last: it says that all is there
python3 -m venv --clear "$dir/venv"
"$dir/venv/bin/pip" install --quiet -r requirements.txt
cp package.json package-lock.json "$dir"
npm --prefix "$dir" ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
cp requirements.txt "$dir"
