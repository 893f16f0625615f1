#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# arm.sh [NAME...]: builds everything for arm64 with Debian's cross compiler and runs the tests of the kernels, or those with NAME in
# their names, under qemu-user: with all features that it knows, with int8 products alone, and as on the first arm64 processors.
# The arm64 libraries are unpacked in build/arm-root by an apt of its own; this machine's packages stay as they are.
set -eu
root=build/arm-root
libraries="libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libyaml-dev libpopt-dev libedit-dev libssl-dev libcurl4-openssl-dev
    libblosc-dev libcmocka-dev"

if [ "$(uname -m)" = aarch64 ]; then
    echo "This machine is arm64: make test tests its kernels."
    exit 0
fi
sh tools/setup.sh arm

unpack_libraries() {
    apt=$(pwd)/build/arm-apt
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    arm_apt() {
        apt-get -qq -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt/state" \
            -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@" \
            >"$apt/log" 2>&1 || { tail -n 20 "$apt/log" >&2; return 1; }
    }
    echo "Fetching arm64 libraries"
    arm_apt update || return
    # shellcheck disable=SC2086 # a list of words
    arm_apt --no-install-recommends --download-only install $libraries || return
    rm -rf "$root"
    mkdir -p "$root.part"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg -x "$package" "$root.part" || return
    done
    mv "$root.part" "$root"
    rm -rf "$apt"
}

[ -d "$root" ] || unpack_libraries
sh tools/build.sh arm

# Names of the tests of the kernels, or what was asked for.
[ $# -gt 0 ] || set -- $(sed -n 's/^TEST(\([a-z0-9_]*\)).*/\1/p' src/base/cpu_test.c src/kernels/*_test.c)
failed=0
for cpu in max neoverse-n1 cortex-a72; do # dotprod, i8mm and bf16; dotprod; none
    log=build/arm/$cpu.txt start=$(date +%s)
    qemu-aarch64 -L "$root" -cpu "$cpu" build/arm/forja_tests "$@" >"$log" 2>&1 || failed=1
    printf '%-12s %s, %d s\n' "$cpu" "$(tail -n 1 "$log")" $(($(date +%s) - start))
    grep -aE '^\[ +(FAILED|ERROR) |^\[ +LINE' "$log" | head -n 40 || true
done
exit $failed
