# SPDX-License-Identifier: Apache-2.0
# Sourced by the deps-* scripts: where downloads are kept, checksums, and the few tools that fetching needs.

# Downloads are shared by all checkouts of a user; each file is named in the scripts with its sha256.
downloads=${XDG_CACHE_HOME:-$HOME/.cache}/fairway

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# has_sum FILE SHA256: is the file there, and the right one?
has_sum() { [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status; }

# apt_need PACKAGE...: installs Debian packages, as root or by sudo.
apt_need() {
  local sudo=
  command -v apt-get >/dev/null || die "$* needed: install it by your package manager"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "$* needed: as root, run: apt-get install $*"
    sudo=sudo
  fi
  say "installing $* (apt) ..."
  local log
  log=$(mktemp)
  if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq \
    --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -5 "$log" >&2
    die "apt-get install $* failed (whole log: $log)"
  fi
  rm -f "$log"
}

need_pip() { python3 -m pip --version >/dev/null 2>&1 || apt_need python3 python3-pip; }

# pip_wheel FOLDER NAME==VERSION SHA256: downloads one wheel, without running anything of it; prints its path.
pip_wheel() {
  need_pip
  local wheel
  mkdir -p "$1"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$1" "$2" >&2 || die "cannot download $2 from the Python package index"
  wheel=$(find "$1" -name '*.whl')
  has_sum "$wheel" "$3" || die "$wheel is not the file that is pinned (sha256 $3)"
  printf '%s\n' "$wheel"
}
