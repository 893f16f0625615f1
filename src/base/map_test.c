/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

TEST(map_shows_the_bytes_of_a_file)
{
    fj_err err = { 0 };
    fj_map *map;
    CHECK_OK(fj_file_write(test_temporary("map"), "forja", 5, &err));
    CHECK_OK(fj_map_open(test_temporary("map"), &map, &err));
    CHECK(map->len == 5 && !memcmp(map->data, "forja", 5));
    CHECK_TEXT(map->path, test_temporary("map"));
    fj_map_will_need(map, 0, SIZE_MAX);
    fj_map_will_need(map, 6, 1);
    fj_map_give_back(map, 0, 5);
    fj_map_give_back(map, SIZE_MAX, 2);
    CHECK(map->data[4] == 'a');
    fj_map_close(map);
    fj_map_close(NULL);
}

TEST(map_of_an_empty_file_is_empty)
{
    fj_err err = { 0 };
    fj_map *map;
    CHECK_OK(fj_file_write(test_temporary("empty"), NULL, 0, &err));
    CHECK_OK(fj_map_open(test_temporary("empty"), &map, &err));
    CHECK(map->len == 0);
    fj_map_close(map);
}

TEST(map_refuses_what_is_no_file_and_does_not_wait)
{
    fj_err err = { 0 };
    fj_map *map;
    CHECK(fj_map_open(test_temporary("nowhere"), &map, &err) == FJ_ERR_FAILED && map == NULL);
    CHECK(strstr(err.message, "nowhere: No such file or directory") != NULL);
    CHECK(fj_map_open(test_temporary(""), &map, &err) == FJ_ERR_FAILED);
    CHECK(strstr(err.message, "not a file") != NULL);
    CHECK(mkfifo(test_temporary("pipe"), 0600) == 0);
    CHECK(fj_map_open(test_temporary("pipe"), &map, &err) == FJ_ERR_FAILED && map == NULL);
}

TEST(map_of_a_file_that_shrank_ends_with_one_line_that_names_it)
{
    static char block[1 << 16];
    fj_err err = { 0 };
    fj_map *map;
    char line[512] = { 0 };
    int ends[2], status;
    CHECK_OK(fj_file_write(test_temporary("shrinks"), block, sizeof block, &err));
    CHECK_OK(fj_map_open(test_temporary("shrinks"), &map, &err));
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        fj_map_install_sigbus();
        if (truncate(map->path, 4096))
            _exit(9);
        _exit(map->data[sizeof block - 1] == 0 ? 8 : 7);
    }
    (void)close(ends[1]);
    ssize_t n = 0;
    for (ssize_t more = 1; more > 0 && n < (ssize_t)sizeof line - 1; n += more)
        more = read(ends[0], line + n, sizeof line - 1 - (size_t)n);
    (void)close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(strstr(line, "forja: error: ") == line && strstr(line, "/shrinks: the file became shorter") != NULL);
    CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    fj_map_close(map);
}

TEST(file_read_ends_with_nul_and_stops_at_its_limit)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    CHECK_OK(fj_file_write(test_temporary("read"), "12345", 5, &err));
    CHECK_OK(fj_file_read(test_temporary("read"), 5, &s, &err));
    CHECK(s.len == 5);
    CHECK_TEXT(s.data, "12345");
    fj_str_free(&s);
    CHECK(fj_file_read(test_temporary("read"), 4, &s, &err) == FJ_ERR_FORMAT && s.data == NULL);
    CHECK(strstr(err.message, "larger than the 4 bytes") != NULL);
    CHECK_OK(fj_file_write(test_temporary("read"), NULL, 0, &err));
    CHECK_OK(fj_file_read(test_temporary("read"), SIZE_MAX, &s, &err));
    CHECK_TEXT(s.data, "");
    fj_str_free(&s);
    CHECK(fj_file_read(test_temporary(""), 4, &s, &err) == FJ_ERR_FAILED);
}
