/* SPDX-License-Identifier: Apache-2.0
 * Files written whole or not at all, and folders; declared in map.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/map.h"

static fj_status write_failed(const char *path, int error, fj_err *err)
{
    bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    (void)fj_fail(err, is_full ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "cannot write %s: %s", path, strerror(error));
    if (is_full)
        (void)fj_hint(err, "free some space or write elsewhere; what was there before is untouched");
    return err->status;
}

/* A device or a pipe (/dev/stdout) is written as it is: renaming would put a file in its place. */
static fj_status open_target(const char *path, fj_out *out)
{
    struct stat info;
    bool is_there = stat(path, &info) == 0;
    if (is_there && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return FJ_ERR_FAILED;
    }
    if (is_there && !S_ISREG(info.st_mode)) {
        out->file = fopen(path, "wb");
        return out->file ? FJ_OK : FJ_ERR_FAILED;
    }
    char *name;
    if (asprintf(&name, "%s.%ld.part", path, (long)getpid()) < 0) {
        errno = ENOMEM;
        return FJ_ERR_FAILED;
    }
    out->file = fopen(name, "wb");
    if (out->file) {
        out->temporary = name;
        return FJ_OK;
    }
    int error = errno;
    free(name);
    errno = error;
    return FJ_ERR_FAILED;
}

fj_status fj_out_open(const char *path, fj_out *out, fj_err *err)
{
    *out = (fj_out){ .path = strdup(path) };
    if (!out->path)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to write %s", path);
    if (open_target(path, out)) {
        int error = errno;
        fj_out_abort(out);
        return write_failed(path, error, err);
    }
    return FJ_OK;
}

static void sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot; the rename has happened all the same */
        (void)close(fd);
    }
    free(copy);
}

/* stdio remembers that a write failed, not why: writing some more says it. (A little may still fit where much did not.) */
static int why_writing_failed(int fd)
{
    static const char zeros[4096];
    for (int i = 0; i < 64; i++)
        if (write(fd, zeros, sizeof zeros) < 0)
            return errno;
    return EIO;
}

static int flush(fj_out *out)
{
    int fd = fileno(out->file);
    if (ferror(out->file))
        return why_writing_failed(fd);
    if (fflush(out->file))
        return errno;
    return out->temporary && fsync(fd) ? errno : 0;
}

fj_status fj_out_commit(fj_out *out, fj_err *err)
{
    int error = flush(out);
    if (fclose(out->file) && !error)
        error = errno;
    out->file = NULL;
    if (!error && out->temporary && rename(out->temporary, out->path))
        error = errno;
    fj_status st = error ? write_failed(out->path, error, err) : FJ_OK;
    if (!st && out->temporary) {
        sync_folder(out->path);
        free(out->temporary);
        out->temporary = NULL;
    }
    fj_out_abort(out);
    return st;
}

void fj_out_abort(fj_out *out)
{
    if (out->file)
        (void)fclose(out->file);
    if (out->temporary)
        (void)unlink(out->temporary);
    free(out->temporary);
    free(out->path);
    *out = (fj_out){ 0 };
}

fj_status fj_file_write(const char *path, const void *data, size_t len, fj_err *err)
{
    fj_out out;
    fj_status st = fj_out_open(path, &out, err);
    if (st)
        return st;
    if (len)
        (void)fwrite(data, 1, len, out.file); /* commit reports it */
    return fj_out_commit(&out, err);
}

bool fj_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool fj_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

fj_status fj_make_dirs(const char *path, fj_err *err)
{
    char *copy = strdup(path);
    if (!copy)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to make %s", path);
    int error = 0;
    for (char *p = copy; *p && !error; p++) {
        if (p[1] != '/' && p[1] != '\0')
            continue;
        char next = p[1];
        p[1] = '\0'; /* the path up to here */
        if (mkdir(copy, 0777) && errno != EEXIST && !fj_path_is_dir(copy))
            error = errno;
        p[1] = next;
    }
    free(copy);
    if (error)
        return write_failed(path, error, err);
    if (!fj_path_is_dir(path))
        return fj_fail(err, FJ_ERR_FAILED, "cannot make the folder %s: a file has that name", path);
    return FJ_OK;
}

char *fj_path_join(const char *dir, const char *name)
{
    char *path;
    size_t n = strlen(dir);
    return asprintf(&path, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name) < 0 ? NULL : path;
}

fj_status fj_remove_tree(const char *path, fj_err *err)
{
    struct stat info;
    if (lstat(path, &info))
        return errno == ENOENT ? FJ_OK : fj_fail(err, FJ_ERR_FAILED, "cannot remove %s: %s", path, strerror(errno));
    fj_status st = FJ_OK;
    DIR *dir = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e && !st; e = readdir(dir)) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        char *inner = fj_path_join(path, e->d_name);
        st = inner ? fj_remove_tree(inner, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory to remove %s", path);
        free(inner);
    }
    if (dir)
        (void)closedir(dir);
    if (!st && remove(path))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot remove %s: %s", path, strerror(errno));
    return st;
}

uint64_t fj_disk_free(const char *path)
{
    struct statvfs info;
    char *copy = strdup(path[0] ? path : ".");
    uint64_t bytes = 0;
    for (char *p = copy; p; p = dirname(p)) {
        if (statvfs(p, &info) == 0) {
            bytes = (uint64_t)info.f_bavail * info.f_frsize;
            break;
        }
        if (!strcmp(p, ".") || !strcmp(p, "/"))
            break;
    }
    free(copy);
    return bytes;
}
