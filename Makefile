# SPDX-License-Identifier: Apache-2.0
# A thin front for people; CMake and Ninja do the work (CMakePresets.json).
PREFIX ?= /usr/local
MODEL ?=

.PHONY: all build demo test check format san fuzz arm bench families kernels peers install clean
all: build

build:
	@sh tools/setup.sh build
	@sh tools/build.sh release
	@ln -sf release/forja build/forja

demo: ; @MODEL="$(MODEL)" sh tools/demo.sh
test: ; @sh tools/test.sh
check: ; @sh tools/check.sh
format: ; @sh tools/check_format.sh --fix
san: ; @sh tools/test.sh san
fuzz: ; @sh tools/setup.sh test && sh tools/fuzz.sh 600
arm: ; @sh tools/arm.sh
bench: build ; @sh tools/bench.sh $(filter families kernels,$(MAKECMDGOALS))
families kernels: bench # make bench families: each family beside llama's; make bench kernels: products beside the machine's limits
peers: build ; @sh tools/peers.sh

install: build
	@cmake --install build/release --prefix "$(PREFIX)"

clean:
	rm -rf build
