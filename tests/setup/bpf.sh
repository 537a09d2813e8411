#!/usr/bin/env bash
# Compiles the XDP program and writes the checksums of its sources and of the object.
#
# The bytes depend on the compiler, so its major version is fixed; the object is committed, and nothing else needs this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=src/datapath/xdp/program
harness=benches/xdp

compile() { # directory source object
  (
    cd "$1"
    clang-19 -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-function -ffile-prefix-map="$PWD"=. \
      -nostdlibinc -I "$OLDPWD/$program" -c "$2" -o "$3"
    llvm-strip-19 -g "$3"
    echo "bpf: $1/$3 $(stat -c %s "$3") bytes"
  )
}

compile $program dispatch.c dispatch.o
compile $harness harness.c harness.o
compile benches/dsr hop.c hop.o
compile tests/netns pass.c pass.o
(cd $program && sha256sum ./*.c ./*.h ./*.o >checksums)
