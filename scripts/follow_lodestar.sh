#!/usr/bin/env bash
# The main job of `./dev run`: starts two Lodestar beacon nodes on loopback and follows their chain,
# live. Arguments go to `beamline follow` (--for SECONDS, --network-threads 0|1, ...).
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=120
follow=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --for) seconds=${2?--for needs a number of seconds}; shift ;;
    --for=*) seconds=${1#--for=} ;;
    *) follow+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[0-9]{1,9}$ ]] || { echo "run: --for is '$seconds'; it must be seconds" >&2; exit 2; }

echo '==> two Lodestar 1.5.1 nodes (installed under build/ the first time)'
folder=$(tests/interop/peers.sh lodestar15)
mkdir -p build/run
rm -rf build/run/genesis
port=$((21000 + $$ % 400 * 25))
"$folder/node" "$folder/run-lodestar.mjs" --nodes 2 --slot 2 --altair 99999 --p2p "$port" \
  --rest $((port + 5)) --seconds $((seconds == 0 ? 1000000 : seconds + 60)) \
  --export "$PWD/build/run/genesis" >build/run/lodestar.log 2>&1 </dev/null &
lodestar=$!
stop() {
  kill "$lodestar" 2>/dev/null || true
  wait "$lodestar" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT TERM

until grep -q '^exported to' build/run/lodestar.log; do
  kill -0 "$lodestar" 2>/dev/null || { tail -n 5 build/run/lodestar.log >&2; exit 1; }
  sleep 0.2
done
peers=()
while read -r address; do peers+=(--peer "$address"); done < <(
  sed -n 's/.*"multiaddr": *"\([^"]*\)".*/\1/p' build/run/genesis/network.json)

if [[ $seconds == 0 ]]; then
  echo '==> following until Ctrl-C; the first block comes in about 15 s'
else
  echo "==> following for $seconds s (--for 0: until Ctrl-C); the first block comes in about 15 s"
fi
build/release/beamline follow --genesis build/run/genesis "${peers[@]}" --for "$seconds" \
  ${follow[@]+"${follow[@]}"} &
beamline=$!
trap 'kill -INT "$beamline" 2>/dev/null || true; wait "$beamline" || true; exit 130' INT TERM
wait "$beamline"
