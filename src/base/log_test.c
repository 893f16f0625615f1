/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "tests/test.h"

/* What `log` prints of one line of each kind. */
static void check_prints(fj_log *log, const char *wanted)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    int kept = dup(STDERR_FILENO), file = open(test_temporary("log"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    fj_warn(log, "%d rows", 3);
    fj_note(log, "step %d", 1);
    fj_debug(log, "x");
    CHECK(dup2(kept, STDERR_FILENO) >= 0 && close(kept) == 0 && close(file) == 0);
    CHECK_OK(fj_file_read(test_temporary("log"), 4096, &s, &err));
    CHECK_TEXT(s.data, wanted);
    fj_str_free(&s);
    fj_log_free(log);
}

TEST(log_prints_up_to_its_level_one_line_each)
{
    check_prints(fj_log_new(FJ_LOG_DEBUG), "warning: 3 rows\nstep 1\ndebug: x\n");
    check_prints(fj_log_new(FJ_LOG_NOTE), "warning: 3 rows\nstep 1\n");
    check_prints(fj_log_new(FJ_LOG_WARN), "warning: 3 rows\n");
    check_prints(fj_log_new(FJ_LOG_ERROR), "");
    check_prints(NULL, "");
    CHECK(!fj_log_has(NULL, FJ_LOG_ERROR));
}
