#!/usr/bin/env bash
# LibTorch 2.11.0 for the pinned `tch`, into ./libtorch. See --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/fetch.sh
. "$here/scripts/fetch.sh"

VERSION=2.11.0
CUDA=cu130
MIRROR=${DEEP_EBM_LIBTORCH_MIRROR:-https://download.pytorch.org/libtorch}

# Name, version and sha256 of the packages that hold the same libraries as the official archive.
TORCH="torch $VERSION 7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"
CUPTI="nvidia-cuda-cupti 13.0.85 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"
CUDART="nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"
CRT="nvidia-cuda-crt 13.0.88 2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4"
# What torch's own metadata requires at run time with a GPU; compiling and linking does without.
RUNTIME="nvidia-cublas 13.1.0.3 ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171
nvidia-cuda-nvrtc 13.0.88 ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575
nvidia-cudnn-cu13 9.19.0.56 d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf
nvidia-cufft 12.0.0.61 6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3
nvidia-cufile 1.15.1.6 08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44
nvidia-curand 10.4.0.35 1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc
nvidia-cusolver 12.0.4.66 0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112
nvidia-cusparse 12.6.3.3 2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b
nvidia-cusparselt-cu13 0.8.0 25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd
nvidia-nccl-cu13 2.28.9 e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42
nvidia-nvjitlink 13.0.88 13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b
nvidia-nvshmem-cu13 3.4.5 290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80
nvidia-nvtx 13.0.85 4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4"

usage() {
  cat <<EOF
usage: ./download_libtorch.sh [cpu|cuda|auto] [--link-only] [--dir DIR] [--list]

Puts LibTorch $VERSION into ./libtorch (or DIR). auto, the default, keeps what is there and otherwise
takes cuda where nvidia-smi shows a GPU, else cpu. About 0.5 GB are fetched for cpu, 2.5 GB for cuda.
  --link-only   cuda only: what compiling and linking needs, without the GPU's run-time libraries
  --list        print the packages (name, version, sha256) of a flavour and end
Environment:
  LIBTORCH                    a LibTorch of your own: it is checked and nothing is installed
  DEEP_EBM_CACHE              where archives are kept (now $cache)
  DEEP_EBM_LIBTORCH_MIRROR    another server laid out like $MIRROR
  DEEP_EBM_LIBTORCH_SHA256    the official archive must have this sha256. No hash is published for it;
                              without one it is checked by the zip's own checksums and the version inside.
                              The packages are always checked by the hashes pinned in this script.
EOF
}

bad_usage() {
  printf 'error: %s\n' "$1" >&2
  usage >&2
  exit 2
}

parse() {
  flavour=auto dir='' list='' link_only=''
  while [ $# -gt 0 ]; do
    case $1 in
      cpu | cuda | auto) flavour=$1 ;;
      --link-only) link_only=yes ;;
      --list) list=yes ;;
      --dir) [ -n "${2:-}" ] || bad_usage "--dir needs a folder"; dir=$2; shift ;;
      -h | --help) usage; exit 0 ;;
      *) bad_usage "unknown argument: $1 (expected cpu, cuda or auto)" ;;
    esac
    shift
  done
  [ -z "$link_only" ] || [ "$flavour" = cuda ] || bad_usage "--link-only goes with cuda"
}

# The release that a folder states: build-version, or the headers (a Python package has no such file).
stated_version() {
  if [ -f "$1/build-version" ]; then
    sed 's/+.*//' "$1/build-version"
  elif [ -f "$1/include/torch/headeronly/version.h" ]; then
    sed -nE 's/^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+).*/\2/p' "$1/include/torch/headeronly/version.h" | paste -sd.
  fi
}

# What a folder holds: cpu, cuda, cuda-link-only (no GPU run-time libraries), wrong-version, other, or nothing.
state_of() {
  if [ ! -e "$1/include/ATen/ATen.h" ] || [ ! -e "$1/lib/libtorch_cpu.so" ]; then
    [ -n "$(ls -A "$1" 2>/dev/null)" ] && echo other || echo nothing
  elif [ "$(stated_version "$1")" != $VERSION ]; then
    echo wrong-version
  elif [ ! -e "$1/lib/libtorch_cuda.so" ]; then
    echo cpu
  elif compgen -G "$1/lib/libcudnn*" >/dev/null || compgen -G "$1/../nvidia/cudnn/lib/libcudnn*" >/dev/null; then
    echo cuda
  else
    echo cuda-link-only
  fi
}

# Whether the state $1 does the job of the flavour wanted.
serves() {
  case $wanted:$1 in
    "$1:$1" | auto:cpu | auto:cuda | cuda-link-only:cuda) true ;;
    *) false ;;
  esac
}

# The user's own LibTorch is used as it is, or refused with the reason; it is never changed.
respect_own() {
  local state
  state=$(state_of "$LIBTORCH")
  # A CUDA build also computes on the CPU, and its run-time libraries may lie anywhere on the system.
  if serves "$state" || [ "${state%-link-only}" = cuda ]; then
    say "using LIBTORCH=$LIBTORCH ($VERSION, $state); nothing to install"
    exit 0
  fi
  [ "$state" != wrong-version ] || state="version $(stated_version "$LIBTORCH")"
  die "LIBTORCH=$LIBTORCH: expected LibTorch $VERSION ($wanted), found $state" \
    "unset LIBTORCH and run this again, or set it to the folder of a LibTorch $VERSION (the one with include/ and lib/)"
}

choose_flavour() {
  [ "$wanted" = auto ] || return 0
  wanted=cpu
  if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then wanted=cuda; fi
  say "auto: $wanted"
}

packages() {
  case $wanted in
    cpu) printf '%s\n' "$TORCH" "$CUPTI" "$CUDART" ;;
    cuda-link-only) printf '%s\n' "$TORCH" "$CUDART" "$CRT" ;;
    cuda) printf '%s\n' "$TORCH" "$CUPTI" "$CUDART" "$CRT" "$RUNTIME" ;;
  esac
}

# fetch_package NAME VERSION SHA256: the wheel into the cache; pip names the file, so it is renamed.
fetch_package() {
  local file=$cache/libtorch/$1-$2.whl platforms=() minor
  intact "$file" "$3" && return
  for minor in 5 12 17 18 24 25 27 28; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
  for minor in 1 2010 2014; do platforms+=(--platform "manylinux${minor}_x86_64"); done
  say "fetching the package $1 $2"
  printf '%s==%s --hash=sha256:%s\n' "$1" "$2" "$3" >"$scratch/wanted.txt"
  mkdir -p "$cache/libtorch" "$scratch/wheel"
  # One interpreter and a fixed list of platforms: every machine gets the same file, the one with this hash.
  TMPDIR=$scratch python3 -m pip download --quiet --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 311 "${platforms[@]}" --require-hashes -r "$scratch/wanted.txt" -d "$scratch/wheel" </dev/null >&2 ||
    die "pip could not fetch $1==$2" "check the network and 'python3 -m pip --version', then run this again: the packages that have arrived whole are kept"
  mv -f "$scratch"/wheel/*.whl "$scratch/arrived.whl"
  [ "$(sha256_of "$scratch/arrived.whl")" = "$3" ] ||
    die "the package $1 $2 that arrived does not have the sha256 $3" "run this again; if it stays so, do not trust that package server"
  mv -f "$scratch/arrived.whl" "$file"
}

# unpack ARCHIVE FOLDER PATTERN...: members that match a pattern, each to the path that its group 1 names.
unpack() {
  python3 - "$@" <<'PY'
import os, re, shutil, sys, zipfile

archive, folder, *patterns = sys.argv[1:]
with zipfile.ZipFile(archive) as z:
    for name in z.namelist():
        match = next(filter(None, (re.fullmatch(p, name) for p in patterns)), None)
        if match is None or name.endswith("/") or ".." in name.split("/"):
            continue
        path = os.path.join(folder, match[1])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with z.open(name) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
PY
}

die_unpacking() { die "cannot unpack $1 into $stage" "make room on that disk and run this again"; }

# Every library goes into lib/, where torch's rpath ($ORIGIN) finds it: the official archive is laid out so too.
unpack_package() {
  local lib='torch/(lib/lib(?!torch_python|shm).+\.so.*)'
  [ "$wanted" = cpu ] && lib='torch/(lib/lib(?:c10|torch|torch_cpu|torch_global_deps|gomp)\.so.*)'
  case $1 in
    torch) unpack "$2" "$stage" 'torch/(include/.+)' "$lib" ;;
    nvidia-cuda-runtime | nvidia-cuda-crt)
      if [ "$wanted" = cpu ]; then unpack "$2" "$stage" 'nvidia/\w+/(lib/libcudart\.so.*)'
      else unpack "$2" "$stage" 'nvidia/\w+/(lib/.+\.so[.0-9]*)' 'nvidia/\w+/(include/.+)'; fi ;;
    nvidia-cuda-cupti) unpack "$2" "$stage" 'nvidia/\w+/(lib/libcupti\.so.*)' ;;
    *) unpack "$2" "$stage" 'nvidia/\w+/(lib/.+\.so[.0-9]*)' ;;
  esac || die_unpacking "$1"
}

from_packages() {
  local name version sha
  python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip" "install pip (Debian: python3-pip) and run this again"
  while read -r name version sha; do
    fetch_package "$name" "$version" "$sha"
  done < <(packages)
  say "unpacking"
  while read -r name version sha; do
    unpack_package "$name" "$cache/libtorch/$name-$version.whl"
  done < <(packages)
  echo "$VERSION+${wanted/cuda*/$CUDA}" >"$stage/build-version"
}

# The archive's hash on arrival is kept beside it, so that later damage in the cache is noticed.
fetch_official() {
  local url=$1 file=$2
  if [ -f "$file.sha256" ] && intact "$file" "$(cat "$file.sha256")"; then return; fi
  reachable "$url" || { say "the official archive cannot be reached: taking the packages"; return 1; }
  say "fetching $url"
  fetch_url "$url" "$file" || { say "the official archive did not arrive: taking the packages"; return 1; }
  sha256_of "$file" >"$file.sha256"
}

# The official archive; fails when it cannot be reached or is not what it should be.
from_official() {
  local kind=${wanted/cuda/$CUDA} file sha=${DEEP_EBM_LIBTORCH_SHA256:-}
  file=$cache/libtorch/libtorch-$VERSION-$kind.zip
  fetch_official "$MIRROR/$kind/libtorch-shared-with-deps-$VERSION%2B$kind.zip" "$file" || return 1
  if [ -n "$sha" ] && [ "$(cat "$file.sha256")" != "$sha" ]; then
    rm -f "$file" "$file.sha256"
    die "the official archive does not have the sha256 $sha" "check DEEP_EBM_LIBTORCH_SHA256, or unset it"
  fi
  say "unpacking"
  if unpack "$file" "$stage" 'libtorch/(include/.+|lib/.+\.so.*|build-version|build-hash)' &&
    [ "$(stated_version "$stage")" = $VERSION ]; then return; fi
  say "the official archive is damaged or not $VERSION: taking the packages"
  rm -rf "$file" "$file.sha256" "$stage"
  mkdir "$stage"
  return 1
}

# The official CUDA archive has no CUDA headers, which ATen's own headers include.
add_cuda_headers() {
  local name version sha
  while read -r name version sha; do
    fetch_package "$name" "$version" "$sha"
    unpack "$cache/libtorch/$name-$version.whl" "$stage" 'nvidia/\w+/(include/.+)' || die_unpacking "$name"
  done < <(printf '%s\n' "$CUDART" "$CRT")
}

fill_stage() {
  rm -rf "$stage"
  mkdir -p "$stage" || die "cannot write to $(dirname "$dir")" "choose another folder with --dir"
  # The official CUDA archive is all or nothing; linking alone needs a fifth of it.
  if [ "$wanted" != cuda-link-only ] && from_official; then
    [ "$wanted" != cuda ] || add_cuda_headers
  else
    from_packages
  fi
  local made
  made=$(state_of "$stage")
  [ "$made" = "$wanted" ] || die "the archives gave $made, not $wanted" "remove $cache/libtorch and run this again"
}

# The new folder takes the old one's place by renames, so there is never half a LibTorch.
swap_in() {
  if [ -e "$dir" ] || [ -L "$dir" ]; then mv "$dir" "$dir.old"; fi
  mv "$stage" "$dir"
  rm -rf "$dir.old"
}

# A killed run can leave the old folder under its temporary name.
recover() {
  if [ -e "$dir.old" ] && [ ! -e "$dir" ]; then mv "$dir.old" "$dir"; fi
  rm -rf "$dir.old" "$dir.new"
}

# torch-sys remembers that it linked CUDA, and would look for it in the cpu flavour.
forget_cuda_build() {
  [ "$1:$wanted:$dir" = "cuda:cpu:$here/libtorch" ] && [ -d "$here/target" ] || return 0
  (cd "$here" && cargo clean --quiet --release -p torch-sys) || say "run 'cargo clean --release -p torch-sys' before the next build"
}

main() {
  parse "$@"
  wanted=$flavour${link_only:+-link-only}
  if [ -n "$list" ]; then choose_flavour; packages; return; fi
  if [ -z "$dir" ] && [ -n "${LIBTORCH:-}" ]; then respect_own; fi
  dir=$(realpath -ms "${dir:-$here/libtorch}")
  local state
  state=$(state_of "$dir")
  if serves "$state"; then say "LibTorch $VERSION ($state) is already in $dir"; return; fi
  choose_flavour
  [ "$(uname -sm)" = "Linux x86_64" ] || die "no LibTorch $VERSION for $(uname -sm) here" "set LIBTORCH to one of your own"
  for tool in curl python3 flock sha256sum; do need $tool; done
  lock_cache
  sweep_cache
  open_scratch
  recover
  state=$(state_of "$dir")
  if serves "$state"; then say "LibTorch $VERSION ($state) is already in $dir"; return; fi
  case $state in
    nothing) ;;
    other) die "$dir holds something that is not LibTorch" "move it away, or choose another folder with --dir" ;;
    *) say "replacing what is in $dir ($state)" ;;
  esac
  stage=$dir.new
  trap 'rm -rf "$scratch" "$stage"' EXIT
  fill_stage
  swap_in
  forget_cuda_build "${state%-link-only}"
  say "LibTorch $VERSION ($wanted) is in $dir"
}

main "$@"
