/* SPDX-License-Identifier: Apache-2.0
 * Damaged copies of a file, each given to a program that must take it calmly. Used by hostile.sh.
 *
 * hostile COPIES SEED CODES FILE TARGET -- PROGRAM ARGUMENT...
 *
 * Writes COPIES damaged copies of FILE to TARGET, one after the other: cut short, bits flipped, bytes and words replaced, mostly in the
 * first 4 KB, where formats keep their counts. Runs the program on each, with address space for what the whole file takes and 48 MB
 * more, so that a size that the file's bytes do not back cannot be had. Wants an exit code of CODES ("03"), within 20 s, and one line
 * with "error:" on standard error unless the code is 0. Prints what fell short; exits 1 then. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 20, SPARE_MB = 48, MOST_SAID = 4096, HEAD = 4096 };

typedef struct bytes {
    unsigned char *data;
    size_t len;
} bytes;

static uint64_t state;

static uint64_t draw(uint64_t below) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static void die(const char *what)
{
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    exit(2);
}

static bytes read_file(const char *path)
{
    bytes b = { 0 };
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        die(path);
    b.len = (size_t)ftell(f);
    b.data = malloc(b.len + 1);
    rewind(f);
    if (!b.data || fread(b.data, 1, b.len, f) != b.len)
        die(path);
    (void)fclose(f);
    return b;
}

static void write_file(const char *path, const unsigned char *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f || (len && fwrite(data, 1, len, f) != len) || fclose(f))
        die(path);
}

static void damage_at(unsigned char *data, size_t len, size_t at)
{
    static const uint64_t odd[] = { 0,          1,          0x7f,       0x80,      0xff,      0x7fffffff,
                                    0x80000000, 0xffffffff, 1ull << 40, INT64_MAX, UINT64_MAX };
    size_t width = (size_t)1 << draw(4); /* 1, 2, 4 or 8 bytes */
    uint64_t value = odd[draw(sizeof odd / sizeof *odd)];
    switch (draw(4)) {
    case 0: /* a word replaced */ memcpy(data + at, &value, width < len - at ? width : len - at); break;
    case 1: /* another byte */ data[at] = (unsigned char)draw(256); break;
    default: /* a bit */ data[at] ^= (unsigned char)(1 << draw(8)); break;
    }
}

/* Damages a whole copy in `data`; gives back how much of it is left. */
static size_t damage(unsigned char *data, size_t len)
{
    uint64_t cut = draw(5);
    size_t head = len < HEAD ? len : HEAD;
    for (uint64_t n = cut ? 1 + draw(6) : 0; n && len; n--)
        damage_at(data, len, draw(4) ? draw(head) : draw(len));
    return cut ? len : draw(len + 1);
}

/* Runs the program; *said holds its standard error. A negative code is a signal, -100 that it took too long. */
static int run(char **argv, size_t limit, char said[MOST_SAID])
{
    int status = 0, pipes[2];
    size_t n = 0;
    if (pipe(pipes))
        die("pipe");
    pid_t child = fork();
    if (!child) {
        struct rlimit space = { limit, limit }, core = { 0, 0 };
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 0), (void)dup2(null, 1), (void)dup2(pipes[1], 2);
        (void)close(pipes[0]), (void)close(pipes[1]);
        (void)setrlimit(RLIMIT_CORE, &core);
        if (limit)
            (void)setrlimit(RLIMIT_AS, &space);
        (void)alarm(SECONDS);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    (void)close(pipes[1]);
    for (ssize_t got; (got = read(pipes[0], said + n, MOST_SAID - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = 0;
    (void)close(pipes[0]);
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM ? -100 : -WTERMSIG(status);
    return WEXITSTATUS(status);
}

static int count_errors(const char *said)
{
    int n = 0;
    for (const char *at = said; (at = strstr(at, "error:")); at++)
        n++;
    return n;
}

/* The address space that the undamaged file takes: the smallest of a rising row of limits with which it goes well. */
static size_t needed(char **argv, size_t file)
{
    char said[MOST_SAID];
    for (size_t mb = 8;; mb += mb / 4) {
        if (run(argv, mb << 20, said) == 0)
            return (mb << 20) + ((size_t)SPARE_MB << 20);
        if (mb << 20 > 64 * file + ((size_t)4 << 30)) {
            fprintf(stderr, "hostile: the undamaged file is not taken: %s", said);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 8 || strcmp(argv[6], "--")) {
        fprintf(stderr, "usage: hostile COPIES SEED CODES FILE TARGET -- PROGRAM ARGUMENT...\n");
        return 2;
    }
    long copies = strtol(argv[1], NULL, 10), bad = 0, fine = 0;
    const char *codes = argv[3], *target = argv[5];
    char said[MOST_SAID];
    bytes whole = read_file(argv[4]);
    unsigned char *copy = malloc(whole.len + 1);
    if (!copy)
        die("memory");
    write_file(target, whole.data, whole.len);
    size_t limit = needed(argv + 7, whole.len);
    for (long i = 0; i < copies; i++) {
        state = strtoull(argv[2], NULL, 10) * 1000003u + (uint64_t)i;
        memcpy(copy, whole.data, whole.len);
        write_file(target, copy, damage(copy, whole.len));
        int code = run(argv + 7, limit, said);
        fine += code == 0;
        if (code >= 0 && code < 10 && strchr(codes, '0' + code) && count_errors(said) == (code != 0))
            continue;
        printf("copy %ld of seed %s: code %d, said: %s\n", i, argv[2], code, said);
        bad++;
    }
    printf("%ld copies, %ld taken, %ld refused, %ld wrong; %zu MB of address space\n", copies, fine,
           copies - fine - bad, bad, limit >> 20);
    free(copy);
    free(whole.data);
    return bad != 0;
}
