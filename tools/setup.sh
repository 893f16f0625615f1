#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh build|test|demo|arm: sees to it that what forja needs is on this machine. What is missing is installed with apt-get (as root or
# through sudo, never asking); where there is no apt-get it is listed. With nothing missing it does nothing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing= names=

need() { # need PACKAGE NAME COMMAND...: PACKAGE is missing unless COMMAND succeeds
    package=$1 name=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    missing="$missing $package" names="$names, $name"
}

program() { need "$1" "$2" command -v "$2"; }
library() { need "$1" "$2" pkg-config --exists "$2"; }

compiles() { printf 'int main(void) { return 0; }\n' | cc -x c -fsyntax-only -include stdio.h -; }
new_cmake() { cmake --version | awk 'NR == 1 { split($3, v, "."); exit !(v[1] > 3 || (v[1] == 3 && v[2] >= 25)) }'; }
fuzzing_runtime() { # the folder's layout differs between versions of clang
    runtime=$(clang --print-file-name=libclang_rt.fuzzer-"$(uname -m)".a)
    [ -f "$runtime" ] || [ -n "$(ls "$(clang -print-resource-dir)"/lib/*/libclang_rt.fuzzer*)" ]
}

needs_build() {
    need build-essential "a C compiler" compiles
    need cmake "cmake 3.25 or later" new_cmake
    program ninja-build ninja
    program pkg-config pkg-config
    library libjansson-dev jansson
    library libpcre2-dev libpcre2-8
    library libutf8proc-dev libutf8proc
    library libyaml-dev yaml-0.1
    library libpopt-dev popt
    library libedit-dev libedit
    library libssl-dev libcrypto
    need libcurl4-openssl-dev "libcurl 7.85 or later" pkg-config --exists 'libcurl >= 7.85'
    library libblosc-dev blosc
}

needs_test() {
    needs_build
    library libcmocka-dev cmocka
    program clang clang
    need libclang-rt-14-dev "clang's sanitizers" fuzzing_runtime
    program clang-format clang-format
}

needs_demo() {
    needs_build
    need python3-pip pip python3 -m pip --version
}

needs_arm() {
    needs_build
    program gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
    program qemu-user qemu-aarch64
}

case ${1:-build} in
build | test | demo | arm) "needs_${1:-build}" ;;
*)
    echo "usage: setup.sh build|test|demo|arm" >&2
    exit 2
    ;;
esac
[ -n "$missing" ] || exit 0
names=${names#, } missing=${missing# }

if ! command -v apt-get >/dev/null 2>&1; then
    echo "forja needs, and this machine lacks: $names" >&2
    echo "Install them and run make again. (On Debian and Ubuntu make does so itself: $missing.)" >&2
    exit 1
fi
echo "Installing with apt-get: $missing"
as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! { sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ]; }; }; then
        echo "That takes root, and sudo is not to be had without a password here. As root, run:" >&2
        echo "    apt-get update && apt-get install --no-install-recommends -y $missing" >&2
        exit 1
    fi
    as_root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run_apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
        </dev/null >>"$log" 2>&1
}
run_apt update || echo "apt-get update failed; going on with the lists that are there" >&2
# shellcheck disable=SC2086 # a list of words
if ! run_apt install --no-install-recommends $missing; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install: $missing" >&2
    exit 1
fi
