#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# list_tests.sh FILE...: the table of all TEST(name) of the files, as C on stdout. Two tests of one name are an error.
set -eu
names=$(sed -n 's/^TEST(\([a-zA-Z0-9_]*\)).*/\1/p' "$@")
twice=$(printf '%s\n' $names | sort | uniq -d)
[ -z "$twice" ] || { echo "tests of one name: $twice" >&2; exit 1; }
echo '#include "tests/test.h"'
for name in $names; do echo "void $name(void **state);"; done
echo 'const struct CMUnitTest test_table[] = {'
for name in $names; do echo "    cmocka_unit_test($name),"; done
echo '};'
echo 'const size_t test_count = sizeof test_table / sizeof test_table[0];'
