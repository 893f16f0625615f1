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
    bool is_full = error == ENOSPC || error == EDQUOT;
    (void)fj_fail(err, is_full ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "cannot write %s: %s", path, strerror(error));
    if (is_full)
        (void)fj_hint(err, "free some space or write elsewhere; what was there before is untouched");
    return err->status;
}

fj_status fj_out_open(const char *path, fj_out *out, fj_err *err)
{
    *out = (fj_out){ .path = strdup(path) };
    if (!out->path || asprintf(&out->temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
        out->temporary = NULL;
        fj_out_abort(out);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to write %s", path);
    }
    out->file = fopen(out->temporary, "wb");
    if (out->file)
        return FJ_OK;
    int error = errno;
    free(out->temporary);
    out->temporary = NULL;
    fj_out_abort(out);
    return write_failed(path, error, err);
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

fj_status fj_out_commit(fj_out *out, fj_err *err)
{
    errno = 0;
    int error = 0;
    if (ferror(out->file) || fflush(out->file) || fsync(fileno(out->file)))
        error = errno ? errno : EIO;
    if (fclose(out->file) && !error)
        error = errno;
    out->file = NULL;
    if (!error && rename(out->temporary, out->path))
        error = errno;
    fj_status st = error ? write_failed(out->path, error, err) : FJ_OK;
    if (!st) {
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
    if (len && fwrite(data, 1, len, out.file) != len) {
        int error = errno;
        fj_out_abort(&out);
        return write_failed(path, error, err);
    }
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
    fj_status st = copy ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to make %s", path);
    for (char *p = copy; !st && p; p = p ? p + 1 : NULL) {
        p = strchr(p + 1, '/');
        if (p)
            *p = '\0';
        if (*copy && mkdir(copy, 0777) && errno != EEXIST)
            st = write_failed(copy, errno, err);
        if (p)
            *p = '/';
        if (!p)
            break;
    }
    if (!st && !fj_path_is_dir(path))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot make the folder %s: a file has that name", path);
    free(copy);
    return st;
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
