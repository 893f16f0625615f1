/* SPDX-License-Identifier: Apache-2.0
 * hub ROOT LOG PORTFILE: the tests' hub as a program of its own, until its standard input ends. */
#include <stdio.h>
#include <unistd.h>

#include "hub_server.h"

int main(int argc, char **argv)
{
    char byte;
    hub_server *s = argc == 4 ? hub_server_start(argv[1], argv[2]) : NULL;
    FILE *f = s ? fopen(argv[3], "w") : NULL;
    if (!f) {
        (void)fprintf(stderr, "usage: hub ROOT LOG PORTFILE\n");
        return 1;
    }
    (void)fprintf(f, "%d\n", hub_server_port(s));
    (void)fclose(f);
    while (read(0, &byte, 1) > 0)
        ;
    hub_server_stop(s);
    return 0;
}
