#!/usr/bin/env bash
# Starts PROGRAM, an echo server that says on stderr where it listens, and sends it a word.
set -euo pipefail
lines=$(mktemp -u)
mkfifo "$lines"
"$1" 2>"$lines" &
server=$!
trap 'kill "$server"; rm -f "$lines"' EXIT
exec 4<"$lines"
read -r -t 40 line <&4
exec 3<>"/dev/tcp/127.0.0.1/${line##*:}"
printf 'hello\n' >&3
read -r -t 40 answer <&3
printf '%s: %s\n' "$line" "$answer"
