/* SPDX-License-Identifier: Apache-2.0
 * A hub for tests, on the loopback alone: it speaks what forja uses of the hub's API over the folders below a root, and does wrong on
 * request. A repository is FAULT/FOLDER: "plain/model" serves ROOT/model as it should be; the other faults are listed in hub_server.c.
 * Files of 1024 bytes and more are large files: the first port redirects to the second, which refuses tokens. */
#ifndef FJ_TESTS_HUB_SERVER_H
#define FJ_TESTS_HUB_SERVER_H

typedef struct hub_server hub_server;

/* NULL when it cannot be started. root is copied. log: a file that gets a line for each request ("GET /path bytes=5-"); NULL: none. */
hub_server *hub_server_start(const char *root, const char *log);
int hub_server_port(const hub_server *s);
void hub_server_stop(hub_server *s); /* accepts NULL; waits for the requests under way */

#endif
