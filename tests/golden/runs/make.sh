#!/usr/bin/env bash
# Makes the stored runs anew with the program `ebm` of the path, which must be of the version that they stand for
# (checkpoint format 1; build a13de417f35a), on a CPU.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
# A folder without data beside it, so that no path of a machine comes into the files.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$folder"/*.yaml "$scratch"
cd "$scratch"

for name in energy classes; do
  ebm train "$name.yaml" --out "$name"
  ebm sample "$name" -n 8 --seed 3 --out "$name.npy"
  ebm score "$name" "$name.npy" >"$name.csv"
  # What a resumed run must come to: its lines of metrics after the stored checkpoint.
  cp -r "$name" "$name.resumed"
  ebm train "$name/resolved.yaml" --out "$name.resumed" --resume --set train.steps=40
  grep '"loss"' "$name.resumed/metrics.jsonl" | tail -n 4 >"$name.jsonl"
  rm -rf "$name/samples" "$name/lock" "$name"/events.* "$name/curves.png" "${folder:?}/$name"
  cp -r "$name" "$name.npy" "$name.csv" "$name.jsonl" "$folder"
done
