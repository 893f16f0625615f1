/* SPDX-License-Identifier: Apache-2.0
 * The only main(). */
#include <stdio.h>

int main(void)
{
    (void)fprintf(stderr, "forja %s\n", FORJA_VERSION);
    return 2;
}
