#!/usr/bin/env bash
# Fetches the libraries of other people that learners here are made with, in the
# versions that requirements.txt names, into .venv beside this file. Does nothing
# when they are there. Needs Python 3 with venv.
set -euo pipefail
cd "$(dirname "$0")"
if cmp -s requirements.txt .venv/requirements.txt; then
  exit 0
fi
python3 -m venv --clear .venv
.venv/bin/pip install --quiet -r requirements.txt
cp requirements.txt .venv # copied last: it says that all is there
