#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh SYMBOL FILE...: text files as a table of C strings on standard output (src/base/embed.h).
set -eu
symbol=$1
shift
printf '/* Made by tools/embed.sh. */\n#include "base/embed.h"\n\nconst fj_embedded %s[] = {\n' "$symbol"
for file; do
    printf '    { "%s",\n' "${file##*/}"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/.*/      "&\\n"/' "$file"
    printf '    },\n'
done
printf '    { 0 },\n};\n'
