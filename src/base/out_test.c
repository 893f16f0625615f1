/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"
#include "tests/test.h"

static void check_holds(const char *name, const char *wanted)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    CHECK_OK(fj_file_read(test_temporary(name), 4096, &s, &err));
    CHECK_TEXT(s.data, wanted);
    fj_str_free(&s);
}

static int entries(const char *name)
{
    DIR *dir = opendir(test_temporary(name));
    int n = -2;
    while (dir && readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

TEST(out_shows_nothing_until_it_is_committed)
{
    fj_err err = { 0 };
    fj_out out;
    CHECK_OK(fj_make_dirs(test_temporary("out"), &err));
    CHECK_OK(fj_file_write(test_temporary("out/x"), "old", 3, &err));
    CHECK_OK(fj_out_open(test_temporary("out/x"), &out, &err));
    (void)fputs("new", out.file);
    (void)fflush(out.file);
    check_holds("out/x", "old");
    CHECK_OK(fj_out_commit(&out, &err));
    check_holds("out/x", "new");
    CHECK(entries("out") == 1);
    fj_out_abort(&out);
}

TEST(out_that_is_aborted_leaves_what_was_there)
{
    fj_err err = { 0 };
    fj_out out;
    CHECK_OK(fj_make_dirs(test_temporary("abort"), &err));
    CHECK_OK(fj_file_write(test_temporary("abort/x"), "old", 3, &err));
    CHECK_OK(fj_out_open(test_temporary("abort/x"), &out, &err));
    (void)fputs("new", out.file);
    fj_out_abort(&out);
    check_holds("abort/x", "old");
    CHECK(entries("abort") == 1);
    fj_out_abort(&out);
}

/* In a process of its own: a file may have 100 kB, so a later write fails as on a full disk. */
static int write_too_much(void)
{
    static char block[1 << 18];
    fj_err err = { 0 };
    struct rlimit limit = { 100000, 100000 };
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    if (fj_file_write(test_temporary("full/x"), block, sizeof block, &err) != FJ_ERR_MEMORY)
        return 2;
    return strstr(err.message, "cannot write ") == err.message && err.hint[0] ? 0 : 3;
}

TEST(out_on_a_full_disk_says_so_and_leaves_what_was_there)
{
    fj_err err = { 0 };
    int status;
    CHECK_OK(fj_make_dirs(test_temporary("full"), &err));
    CHECK_OK(fj_file_write(test_temporary("full/x"), "old", 3, &err));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(write_too_much());
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_holds("full/x", "old");
    CHECK(entries("full") == 1);
}

/* Through links: were the device's place taken after all, it would be the link's and not the machine's. */
TEST(out_to_a_device_writes_to_it_and_never_takes_its_place)
{
    fj_err err = { 0 };
    struct stat info;
    CHECK(symlink("/dev/null", test_temporary("null")) == 0 && symlink("/dev/full", test_temporary("no-room")) == 0);
    CHECK_OK(fj_file_write(test_temporary("null"), "x", 1, &err));
    CHECK(lstat(test_temporary("null"), &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(fj_file_write(test_temporary("no-room"), "x", 1, &err) == FJ_ERR_MEMORY);
    CHECK(strstr(err.message, "/no-room: No space left on device") != NULL);
    CHECK(lstat(test_temporary("no-room"), &info) == 0 && S_ISLNK(info.st_mode));
}

TEST(out_to_a_folder_or_below_a_file_fails_at_once)
{
    fj_err err = { 0 };
    fj_out out;
    CHECK(fj_out_open(test_temporary(""), &out, &err) == FJ_ERR_FAILED);
    CHECK(strstr(err.message, "Is a directory") != NULL);
    CHECK(fj_out_open(test_temporary("absent/x"), &out, &err) == FJ_ERR_FAILED);
    CHECK(strstr(err.message, "absent/x: No such file or directory") != NULL);
    fj_out_abort(&out);
}

TEST(folders_are_made_with_their_parents_and_removed_with_their_content)
{
    fj_err err = { 0 };
    CHECK_OK(fj_make_dirs(test_temporary("tree/a/b//c/"), &err));
    CHECK_OK(fj_make_dirs(test_temporary("tree/a/b//c/"), &err));
    CHECK_OK(fj_make_dirs("/", &err));
    CHECK(fj_path_is_dir(test_temporary("tree/a/b/c")));
    CHECK_OK(fj_file_write(test_temporary("keep"), "k", 1, &err));
    char target[1024];
    (void)snprintf(target, sizeof target, "%s", test_temporary("keep"));
    CHECK(symlink(target, test_temporary("tree/a/link")) == 0);
    CHECK_OK(fj_file_write(test_temporary("tree/a/b/f"), "x", 1, &err));
    CHECK(fj_make_dirs(test_temporary("tree/a/b/f/g"), &err) == FJ_ERR_FAILED);
    CHECK(fj_make_dirs(test_temporary("tree/a/b/f"), &err) == FJ_ERR_FAILED);
    CHECK(fj_make_dirs("", &err) == FJ_ERR_FAILED);
    CHECK_OK(fj_remove_tree(test_temporary("tree"), &err));
    CHECK(!fj_path_exists(test_temporary("tree")) && fj_path_exists(test_temporary("keep")));
    CHECK_OK(fj_remove_tree(test_temporary("tree"), &err));
}

TEST(disk_space_is_that_of_the_nearest_folder_there_is)
{
    CHECK(fj_disk_free(test_temporary("")) > 0);
    CHECK(fj_disk_free(test_temporary("not/yet/there")) > 0);
    CHECK(fj_disk_free("") > 0);
}

TEST(paths_are_joined_with_one_slash)
{
    static const char *const dirs[] = { "a", "a/", "", "/" };
    static const char *const wanted[] = { "a/x", "a/x", "/x", "/x" };
    for (size_t i = 0; i < FJ_LEN(dirs); i++) {
        char *path = fj_path_join(dirs[i], "x");
        CHECK_TEXT(path, wanted[i]);
        free(path);
    }
}
