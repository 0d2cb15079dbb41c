# ./dev test: the three tiers of tests. ./dev vectors: the tests that read official vectors.
# Sourced by ./dev.

report=build/test-report

# Areas are the folders of tests/ that hold GoogleTest programs; AREA is also the ctest label.
test_areas() {
  local file area
  for file in tests/*/CMakeLists.txt; do
    area=$(basename "$(dirname "$file")")
    [[ $area == fuzz ]] || printf '%s\n' "$area"
  done
}

# Labels of tests that are left out: soaks. (What reads vectors that are not there skips, and says so.)
excluded_labels() {
  local labels=none
  [[ -n ${BEAMLINE_LONG:-} ]] || labels+='|long'
  printf '%s' "$labels"
}

# ctest_tier TIER AREA: runs the tier's tests; leaves $report/TIER.xml and $report/TIER.summary
# (ctest's last lines). Returns 1 if a test failed, or if none ran where some should.
ctest_tier() {
  local tier=$1 area=$2 log="build/log/test-$1.log" status=0 start=$SECONDS select=()
  [[ -z $area ]] || select+=(-L "^$area\$")
  select+=(-LE "^($(excluded_labels))\$")
  printf '==> test %s ' "$tier"
  ctest --test-dir "build/$tier" -j "$jobs" --no-label-summary --output-on-failure \
    --no-tests=error --test-output-size-passed 16384 --test-output-size-failed 1048576 \
    --output-junit "$PWD/$report/$tier.xml" "${select[@]}" >"$log" 2>&1 </dev/null || status=1
  printf '(%d s)' $((SECONDS - start))
  if grep -q '^No tests were found' "$log"; then
    rm -f "$report/$tier.xml"
    if [[ $tier != release && -n $area ]]; then
      printf ' none in %s\n' "$area"
      return 0
    fi
    printf ' FAILED: no test was found\n'
    return 1
  fi
  # A test program that dies while its cases are listed would otherwise pass unnoticed.
  if grep -q '^CMake Error' "$log" || ! grep -q '% tests passed, ' "$log"; then
    status=1
  fi
  sed -n '/% tests passed, /,$ { /^The following tests did not run/,/^$/d; p }' "$log" |
    sed -e '/^$/d' >"$report/$tier.summary"
  if [[ $status == 0 ]]; then
    printf ' %s\n' "$(head -n 1 "$report/$tier.summary")"
  else
    printf ' FAILED\n'
    awk '/\*\*\*/ && !/\*\*\*Skipped|Not Run \(Disabled\)/ { show = 1 }
         /^ *Start +[0-9]+:|Test +#[0-9]+: .* Passed / { show = 0 }
         /^CMake Error/ { show = 1 }
         /% tests passed, / { exit }
         show' "$log"
  fi
  return $status
}

test_main() {
  local area='' tier failed=() passed=() target=() groups=(build test)
  while [[ $# -gt 0 ]]; do
    case $1 in
      --long)
        export BEAMLINE_LONG=1
        groups+=(long)
        ;;
      -*) fail "test: unknown option '$1'; valid: --long" 2 ;;
      *)
        [[ -z $area ]] || fail "test: one area at a time, not '$area' and '$1'" 2
        area=$1
        grep -qxF -- "$area" <<<"$(test_areas)" ||
          fail "test: unknown area '$area'; valid: $(test_areas | tr '\n' ' ')" 2
        ;;
    esac
    shift
  done
  need "${groups[@]}"
  # Official vectors that lie beside the checkout are read without being asked for.
  local vectors
  vectors=$(dirname "$PWD")/shared/vectors
  [[ -n ${BEAMLINE_VECTORS:-} || ! -d $vectors ]] || export BEAMLINE_VECTORS=$vectors
  rm -rf "$report"
  mkdir -p "$report"
  # One area alone: only its own programs are built.
  [[ -z $area ]] || target=("tests/$area/all")
  for tier in release asan tsan; do
    configure "$tier" "build/$tier"
    build "$tier" "build/$tier" "${target[@]}"
    if ctest_tier "$tier" "$area"; then passed+=("$tier"); else failed+=("$tier"); fi
  done
  test_summary "${passed[*]}" "${failed[*]}"
  [[ ${#failed[@]} == 0 ]]
}

# test_summary PASSED FAILED: what was skipped, then ctest's summaries: what failed stands last, and
# if nothing did, the release tier, which holds all tests.
test_summary() {
  local tier order
  python3 scripts/skipped.py "$report"/*.xml || true
  [[ -n ${BEAMLINE_LONG:-} ]] || printf 'not run: tests labelled long (./dev test --long)\n'
  order=$(tr ' ' '\n' <<<"$1" | tac | tr '\n' ' ')
  for tier in $order $2; do
    [[ -s $report/$tier.summary ]] || continue
    printf '\n%s:\n' "$tier"
    cat "$report/$tier.summary"
  done
  rm -f "$report"/*.summary
}

# The tests labelled `vectors` read official vectors, by topic, from the folders of BEAMLINE_VECTORS
# and skip where a folder is not there; here that is a failure if it leaves nothing to run.
vectors_main() {
  at_most vectors 1 "$@"
  [[ $# == 1 ]] || fail 'vectors: which directory? ./dev vectors DIR' 2
  [[ -d $1 ]] || fail "vectors: '$1' is not a directory" 2
  grep -rqs --include=CMakeLists.txt 'LABELS.*vectors' tests ||
    fail 'vectors: there is no vector runner yet (no test has the label vectors)'
  BEAMLINE_VECTORS=$(cd "$1" && pwd)
  export BEAMLINE_VECTORS
  need build test
  configure release build/release
  build release build/release
  mkdir -p "$report"
  local status=0 log=build/log/vectors.log
  mkdir -p build/log
  ctest --test-dir build/release -j "$jobs" --no-label-summary --output-on-failure \
    --no-tests=error --test-output-size-passed 65536 --test-output-size-failed 1048576 \
    -L '^vectors$' --output-junit "$PWD/$report/vectors.xml" >"$log" 2>&1 </dev/null || status=1
  [[ $status == 0 ]] || cat "$log"
  [[ -f $report/vectors.xml ]] || fail "vectors: no test ran; all of the output: $log"
  python3 scripts/vectors.py --folder "$BEAMLINE_VECTORS" --report "$report/vectors.xml" || status=1
  return $status
}
