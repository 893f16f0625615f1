/* SPDX-License-Identifier: Apache-2.0
 * Files that travel inside the program: tools/embed.sh makes a table of them when it is built. */
#ifndef FJ_BASE_EMBED_H
#define FJ_BASE_EMBED_H

typedef struct fj_embedded {
    const char *name; /* without its folder; NULL at the table's end */
    const char *text; /* ends with NUL */
} fj_embedded;

extern const fj_embedded fj_embedded_catalogue[]; /* the files of catalogue/, in order of their names */

#endif
