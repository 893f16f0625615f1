#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_spdx.sh: sources whose first three lines do not name the licence.
set -eu
find src tests bench tools -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) | sort | while read -r f; do
    head -n 3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f: no SPDX line"
done | awk '{ print } END { exit NR > 0 }'
