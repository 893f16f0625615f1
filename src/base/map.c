/* SPDX-License-Identifier: Apache-2.0
 * Mapped files. A file that shrinks under a mapping raises SIGBUS at the next read; the handler looks the address up in a fixed table
 * of mappings and ends the process with one line. The table and the handler are the only globals (a signal has no context). */
#define _GNU_SOURCE
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MAPS = 256 };

typedef struct entry {
    _Atomic(const fj_map *) map; /* NULL: free */
} entry;
static entry mappings[MAX_MAPS];

static void remember(const fj_map *map)
{
    for (int i = 0; i < MAX_MAPS; i++) {
        const fj_map *empty = NULL;
        if (atomic_compare_exchange_strong(&mappings[i].map, &empty, map))
            return;
    }
}

static void forget(const fj_map *map)
{
    for (int i = 0; i < MAX_MAPS; i++) {
        const fj_map *mine = map;
        if (atomic_compare_exchange_strong(&mappings[i].map, &mine, NULL))
            return;
    }
}

static void say(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    const unsigned char *at = info->si_addr;
    for (int i = 0; i < MAX_MAPS; i++) {
        const fj_map *m = atomic_load(&mappings[i].map);
        if (!m || at < m->data || at >= m->data + m->len)
            continue;
        say("forja: error: ");
        say(m->path);
        say(": the file became shorter, or its disk failed, while it was in use\n");
        _exit(1);
    }
    (void)signal(SIGBUS, SIG_DFL);
    (void)raise(SIGBUS);
}

void fj_map_install_sigbus(void)
{
    struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
    (void)sigaction(SIGBUS, &action, NULL);
}

fj_status fj_map_open(const char *path, fj_map **out, fj_err *err)
{
    struct stat info;
    fj_status st = FJ_OK;
    void *data = NULL;
    fj_map *map = calloc(1, sizeof *map);
    if (map)
        map->path = strdup(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe without a writer would wait for one */
    *out = NULL;
    if (!map || !map->path)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    else if (fd < 0 || fstat(fd, &info))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot open %s: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot map %s: not a file", path);
    else if (info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            st = fj_fail(err, FJ_ERR_FAILED, "cannot map %s: %s", path, strerror(errno));
    }
    if (fd >= 0)
        (void)close(fd);
    if (st) {
        if (map)
            free(map->path);
        free(map);
        return st;
    }
    map->data = data;
    map->len = (size_t)info.st_size;
    remember(map);
    *out = map;
    return FJ_OK;
}

void fj_map_close(fj_map *map)
{
    if (!map)
        return;
    forget(map);
    if (map->data)
        (void)munmap((void *)(uintptr_t)map->data, map->len);
    free(map->path);
    free(map);
}

static size_t page_size(void)
{
    long n = sysconf(_SC_PAGESIZE);
    return n > 0 ? (size_t)n : 4096;
}

void fj_map_will_need(const fj_map *map, size_t offset, size_t len)
{
    size_t page = page_size(), first = offset / page * page;
    if (map->data && offset < map->len)
        (void)madvise((void *)(uintptr_t)(map->data + first), FJ_MIN(len, map->len - offset) + (offset - first),
                      MADV_WILLNEED);
}

void fj_map_give_back(const fj_map *map, size_t offset, size_t len)
{
    size_t page = page_size(), first = (offset + page - 1) / page * page, end = (offset + len) / page * page;
    if (map->data && offset <= map->len && len <= map->len - offset && first < end)
        (void)madvise((void *)(uintptr_t)(map->data + first), end - first, MADV_DONTNEED);
}

fj_status fj_file_read(const char *path, size_t limit, fj_str *out, fj_err *err)
{
    char block[1 << 16];
    FILE *f = fopen(path, "rb");
    if (!f)
        return fj_fail(err, FJ_ERR_FAILED, "cannot open %s: %s", path, strerror(errno));
    fj_status st = FJ_OK;
    out->limit = FJ_MIN(limit, SIZE_MAX / 2) + sizeof block;
    fj_str_add(out, "", 0); /* bytes and a NUL even when there are none */
    for (size_t n; !st && (n = fread(block, 1, sizeof block, f)) > 0;) {
        fj_str_add(out, block, n);
        if (out->len > limit)
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: larger than the %zu bytes that are read of such a file", path, limit);
        else if (out->failed)
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to read %s", path);
    }
    if (!st && ferror(f))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot read %s: %s", path, strerror(errno));
    (void)fclose(f);
    if (st)
        fj_str_free(out);
    return st;
}
