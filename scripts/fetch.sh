# Sourced by download_libtorch.sh and download_data.sh: messages, the cache, one download at a time.
# shellcheck shell=bash

# Archives stay here, outside the clone, so that a second clone fetches nothing.
cache=${DEEP_EBM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/deep-ebm}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die WHAT REMEDY
die() {
  printf 'error: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

need() { command -v "$1" >/dev/null || die "$1 is not installed" "install $1 and run this again"; }

# Runs that share a cache take turns, so that none reads what another is writing.
lock_cache() {
  mkdir -p "$cache" || die "cannot write to $cache" "set DEEP_EBM_CACHE to a folder that can be written"
  exec 9>"$cache/lock"
  flock -n 9 && return
  say "waiting for another download to finish"
  flock 9
}

# A scratch folder inside the cache, so that a rename out of it is atomic; it goes when the script ends.
open_scratch() {
  scratch=$(mktemp -d "$cache/scratch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# What a killed run left behind; safe because the lock is held.
sweep_cache() { rm -rf "$cache"/scratch.*; }

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# True when FILE is there and has the SHA256; a damaged FILE is removed, saying so.
intact() {
  [ -f "$1" ] || return 1
  [ "$(sha256_of "$1")" = "$2" ] && return
  say "$1 is damaged: fetching it again"
  rm -f "$1"
  return 1
}

# An unreachable mirror must cost seconds, not minutes.
reachable() { curl -fsSIL --connect-timeout 5 --max-time 15 -o /dev/null "$1" 2>/dev/null; }

# fetch_url URL FILE: goes on where an earlier try stopped; FILE appears only when it is whole.
fetch_url() {
  local meter=(-sS) part=$2.part status=0
  [ -t 2 ] && meter=(--progress-bar)
  local get=(curl -fL "${meter[@]}" --connect-timeout 10 --speed-limit 1000 --speed-time 60 --retry 3 -o "$part")
  mkdir -p "$(dirname "$2")"
  "${get[@]}" -C - "$1" || status=$?
  case $status in
    0) ;;
    22 | 33 | 36) # the server knows no ranges, or the part does not fit: from the start
      rm -f "$part"
      "${get[@]}" "$1" || return 1 ;;
    *) return 1 ;; # what has arrived is kept for the next try
  esac
  mv -f "$part" "$2"
}
