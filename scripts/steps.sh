# Steps of ./dev: each prints one line, `==> what (seconds)`, and keeps its output in build/log/.
# Sourced; the current directory is the top of the tree.

# Prints a message and ends the script: status 1 for a failure, 2 for a wrong command line.
fail() {
  printf './dev: %s\n' "$1" >&2
  exit "${2:-1}"
}

# step WHAT COMMAND...: runs the command with its output in build/log/<what>.log; on failure shows
# what went wrong and ends the script.
step() {
  local what=$1 log="build/log/${1// /-}.log" start=$SECONDS
  shift
  mkdir -p build/log
  printf '==> %s ' "$what"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '(%d s)\n' $((SECONDS - start))
    return 0
  fi
  printf '(%d s) FAILED\n' $((SECONDS - start))
  show_failure "$log"
  fail "'$what' failed; all of its output: $log"
}

# The part of a log that tells what failed: from ninja's first FAILED line, or else the end.
show_failure() {
  awk '/^FAILED:/ { seen = 1 } seen && shown < 80 { print; ++shown }' "$1" >&2
  grep -q '^FAILED:' "$1" || tail -n 40 "$1" >&2
}

packages_of() {
  local group
  for group in "$@"; do
    awk -v group="$group" '$1 == group { print $2 }' scripts/packages
  done | sort -u
}

# need GROUP...: installs the packages of these groups (scripts/packages) that are missing. Without
# root or apt it names them and stops. BEAMLINE_NO_INSTALL=1 skips the check.
need() {
  [[ -z ${BEAMLINE_NO_INSTALL:-} ]] || return 0
  local package missing=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "this system has no apt. Install what these Debian packages hold, then run again with \
BEAMLINE_NO_INSTALL=1: $(packages_of "$@" | tr '\n' ' ')"
  fi
  for package in $(packages_of "$@"); do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] ||
      missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) != 0 ]]; then
    fail "these packages are missing, and only root may install them:
    sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  printf 'installing: %s\n' "${missing[*]}"
  step 'apt-get update' apt-get -q update
  step "install ${#missing[@]} packages" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"
}

# configure PRESET DIRECTORY: runs cmake, unless nothing that it reads appeared, went or moved
# (an edit of a file that it has read makes ninja run it again).
configure() {
  local preset=$1 directory=$2 stamp fresh=()
  stamp=$PWD$'\n'$(find . -path ./build -prune -o -path ./.git -prune -o \
    \( -name CMakeLists.txt -o -name '*.cmake' \) -print | sort)$'\n'$(cksum CMakePresets.json)$'\n'${BEAMLINE_UNITY:-OFF}
  if [[ -f $directory/build.ninja && -f $directory/.configured &&
    $(<"$directory/.configured") == "$stamp" ]]; then
    return 0
  fi
  # A tree that was moved leaves paths that no longer exist.
  if [[ -f $directory/.configured && $(head -n 1 "$directory/.configured") != "$PWD" ]]; then
    fresh=(--fresh)
  fi
  step "configure $preset" cmake --preset "$preset" "${fresh[@]}" \
    -D BEAMLINE_UNITY="${BEAMLINE_UNITY:-OFF}"
  printf '%s\n' "$stamp" >"$directory/.configured"
}

# build PRESET DIRECTORY [TARGET...]: nothing is printed when there is nothing to do.
build() {
  local preset=$1 directory=$2 todo
  shift 2
  todo=$(ninja -C "$directory" -n "$@" 2>/dev/null | tail -n 1) || todo=
  [[ $todo != *'no work to do'* ]] || return 0
  step "build $preset" ninja -C "$directory" -j "$jobs" "$@"
}
