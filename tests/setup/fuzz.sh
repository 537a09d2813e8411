#!/usr/bin/env bash
# Has libFuzzer look for inputs that break the checks of tests/fuzz_corpus, target after target.
#
#   fuzz.sh SECONDS [TARGET...]     so long for each of these; without any, for all
#
# New inputs go to fuzz/found, those that break something to fuzz/artifacts; the next run begins with both. What broke
# something belongs into fuzz/corpus once it is mended, where `make test` tries it again.
set -euo pipefail
cd "$(dirname "$0")/../../fuzz"

missing=()
cargo +nightly --version >/dev/null 2>&1 || missing+=("a nightly toolchain (rustup toolchain install nightly --profile minimal)")
cargo fuzz --version >/dev/null 2>&1 || missing+=("cargo-fuzz (cargo install cargo-fuzz)")
if [ "${#missing[@]}" -gt 0 ]; then
  printf -v all '%s, ' "${missing[@]}"
  echo "fuzz: this needs ${all%, }; the corpus runs without them: cargo test --test fuzz_corpus" >&2
  exit 1
fi

seconds=$1
shift
[ "$#" -gt 0 ] || set -- $(cargo +nightly fuzz list)
broken=()
for target; do
  mkdir -p "found/$target" "artifacts/$target"
  # An input has the size of what sockets give at once, and none may take seconds, though it is built to be checked.
  cargo +nightly fuzz run "$target" "found/$target" "corpus/$target" "artifacts/$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -dict="dictionaries/$target.dict" -print_final_stats=1 \
    || broken+=("$target")
done
if [ "${#broken[@]}" -gt 0 ]; then
  echo "fuzz: broken: ${broken[*]}; the inputs are in fuzz/artifacts" >&2
  exit 1
fi
