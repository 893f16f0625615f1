/* SPDX-License-Identifier: Apache-2.0
 * peak FILE PROGRAM ARGUMENT...: runs the program, writes the most memory in bytes that it had resident to FILE, exits as it does. Used by
 * memory.sh. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage use;
    int status;
    pid_t pid = argc > 2 ? fork() : -1;
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &use) != pid || !WIFEXITED(status))
        return 126;
    FILE *f = fopen(argv[1], "w");
    if (!f || fprintf(f, "%ld\n", use.ru_maxrss * 1024L) < 0 || fclose(f))
        return 126;
    return WEXITSTATUS(status);
}
