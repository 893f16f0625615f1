/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include <stdlib.h>

#include "base/map.h"
#include "train/metrics.h"
#include "train/plot.h"

static void write_steps(const char *path, int64_t keep, int64_t first, int64_t last)
{
    fj_err err = { 0 };
    fj_metrics *m = NULL;
    CHECK_OK(fj_metrics_open(path, keep, &m, &err));
    for (int64_t i = first; i <= last; i++) {
        fj_train_step s = { .step = i, .loss = 10.0 / (double)i, .grad_norm = 1, .learning_rate = 1e-4, .tokens = 5 };
        CHECK_OK(fj_metrics_step(m, &s, &err));
    }
    fj_metrics_close(m);
}

TEST(metrics_of_a_run_that_goes_on_have_every_step_once)
{
    fj_err err = { 0 };
    char path[1024];
    double *steps = NULL, *losses = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s", test_temporary("metrics.jsonl"));
    write_steps(path, 0, 1, 6);
    fj_str text = { 0 };
    CHECK_OK(fj_file_read(path, 1 << 20, &text, &err));
    fj_str_add_text(&text, "{\"step\": 7, \"lo"); /* killed while it wrote */
    CHECK_OK(fj_file_write(path, text.data, text.len, &err));
    fj_str_free(&text);
    write_steps(path, 4, 5, 8);
    CHECK_OK(fj_metrics_losses(path, &steps, &losses, &n, &err));
    CHECK(n == 8);
    for (size_t i = 0; i < n; i++)
        CHECK(steps[i] == (double)(i + 1) && fabs(losses[i] - 10.0 / (double)(i + 1)) < 1e-8);
    free(steps);
    free(losses);
    write_steps(path, 0, 1, 2);
    CHECK_OK(fj_metrics_losses(path, &steps, &losses, &n, &err));
    CHECK(n == 2);
    free(steps);
    free(losses);
}

TEST(a_loss_that_is_no_number_is_null_and_not_drawn)
{
    fj_err err = { 0 };
    char path[1024];
    fj_metrics *m = NULL;
    fj_str text = { 0 };
    (void)snprintf(path, sizeof path, "%s", test_temporary("nan.jsonl"));
    CHECK_OK(fj_metrics_open(path, 0, &m, &err));
    fj_train_step s = { .step = 1, .loss = NAN, .grad_norm = INFINITY };
    CHECK_OK(fj_metrics_step(m, &s, &err));
    fj_metrics_close(m);
    CHECK_OK(fj_file_read(path, 1 << 20, &text, &err));
    CHECK(strstr(text.data, "\"loss\": null"));
    fj_str_free(&text);
    CHECK_OK(fj_plot_losses(path, test_temporary("nan.svg"), &err));
    CHECK_OK(fj_file_read(test_temporary("nan.svg"), 1 << 20, &text, &err));
    CHECK(strstr(text.data, "</svg>") && !strstr(text.data, "nan") && !strstr(text.data, "inf"));
    fj_str_free(&text);
}

TEST(the_curve_stays_in_its_frame)
{
    fj_err err = { 0 };
    fj_str text = { 0 };
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", test_temporary("curve.jsonl"));
    write_steps(path, 0, 1, 30);
    CHECK_OK(fj_plot_losses(path, test_temporary("curve.svg"), &err));
    CHECK_OK(fj_file_read(test_temporary("curve.svg"), 1 << 20, &text, &err));
    const char *at = strstr(text.data, "points=\"");
    CHECK(at);
    at += strlen("points=\"");
    for (int i = 0; i < 30; i++) {
        char *end;
        double x = strtod(at, &end), y = strtod(end + 1, &end);
        CHECK(x >= 64 && x <= 784 && y >= 32 && y <= 432);
        at = end + 1;
    }
    fj_str_free(&text);
}
