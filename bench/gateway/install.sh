#!/usr/bin/env bash
# Fetches Portkey's open gateway, in the version that package-lock.json names, into
# node_modules beside this file. Does nothing when it is there. Needs Node 20 with npm.
set -euo pipefail
cd "$(dirname "$0")"
if cmp -s package-lock.json node_modules/.installed; then
  exit 0
fi
npm ci --no-audit --no-fund --ignore-scripts
cp package-lock.json node_modules/.installed # copied last: it says that all is there
