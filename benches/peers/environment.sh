#!/usr/bin/env bash
# The Python environment of the comparisons, benches/peers/.venv, from requirements.txt; nothing is installed twice.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
stamp=$venv/installed.txt
python=${PYTHON:-python3}

die() {
  printf 'error: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

cmp -s "$here/requirements.txt" "$stamp" && exit 0
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "$python is older than 3.11, which a pinned package needs" "set PYTHON to a newer interpreter"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" ||
  die "cannot make a Python environment in $venv" "install venv (Debian: python3-venv), or set PYTHON to an interpreter that has it"
printf 'installing the peers into %s: 3 GB, since torch brings the libraries of its GPU build\n' "$venv" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" ||
  die "pip could not install benches/peers/requirements.txt" "check the network and the room on the disk (7 GB), then run this again"
cp "$here/requirements.txt" "$stamp"
