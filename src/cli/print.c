/* SPDX-License-Identifier: Apache-2.0
 * See print.h. */
#include "cli/print.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- the terminal --------------------------------------------------------------------------------------------------------------------- */

bool fj_is_terminal(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && !(term && !strcmp(term, "dumb"));
}

bool fj_wants_color(int fd)
{
    const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");
    if (no && *no)
        return false;
    return fj_is_terminal(fd) || (force && *force && strcmp(force, "0") != 0);
}

int fj_terminal_width(int fd)
{
    struct winsize size = { 0 };
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

const char *fj_style_code(fj_style style, bool on)
{
    static const char *const codes[] = {
        "\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m"
    };
    return on ? codes[style] : "";
}

/* ---- errors --------------------------------------------------------------------------------------------------------------------------- */

static void print_line(const char *prefix, fj_style style, const char *text)
{
    char line[1024];
    bool color = fj_wants_color(STDERR_FILENO);
    (void)snprintf(line, sizeof line, "%s", text);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    (void)fprintf(stderr, "%s%s%s%s\n", fj_style_code(style, color), prefix, fj_style_code(FJ_STYLE_NONE, color), line);
}

int fj_print_error(const fj_err *err)
{
    (void)fflush(stdout);
    print_line("forja: error: ", FJ_STYLE_RED, err->message);
    if (err->hint[0])
        print_line("hint: ", FJ_STYLE_CYAN, err->hint);
    return fj_exit_code(err->status);
}

/* ---- bars, times, spark lines --------------------------------------------------------------------------------------------------------- */

char *fj_bar(double share, int width, char *out)
{
    int full = (int)(fmin(fmax(share, 0), 1) * width + 0.5);
    for (int i = 0; i < width; i++)
        out[i] = i < full ? '#' : '.';
    out[width] = '\0';
    return out;
}

char *fj_format_seconds(double seconds, char out[32])
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e8) {
        (void)snprintf(out, 32, "?");
        return out;
    }
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        (void)snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    return out;
}

/* The mean of the finite values of one cell; NaN without any. */
static double cell_mean(const double *values, size_t first, size_t end)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = first; i < end; i++) {
        if (!isfinite(values[i]))
            continue;
        sum += values[i];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

void fj_spark(const double *values, size_t n, int width, fj_str *out)
{
    static const char *const levels[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    size_t cells = FJ_MIN(n, (size_t)FJ_MAX(width, 1));
    double least = INFINITY, most = -INFINITY;
    for (size_t c = 0; c < cells; c++) {
        double mean = cell_mean(values, c * n / cells, (c + 1) * n / cells);
        least = fmin(least, mean);
        most = fmax(most, mean);
    }
    for (size_t c = 0; c < cells; c++) {
        double mean = cell_mean(values, c * n / cells, (c + 1) * n / cells);
        double share = most > least ? (mean - least) / (most - least) : 0.5;
        fj_str_add_text(out, isnan(mean) ? " " : levels[FJ_MIN((int)(share * 8), 7)]);
    }
}

/* ---- progress ------------------------------------------------------------------------------------------------------------------------- */

static void print_progress(const fj_progress *p, double done, const char *note, double now)
{
    char bar[32], left[32], rate_text[24], done_text[24], total_text[24];
    double rate = now > p->started ? done / (now - p->started) : 0, share = p->total > 0 ? done / p->total : 0;
    bool is_bytes = !strcmp(p->unit, "B");
    fj_format_seconds(rate > 0 ? (p->total - done) / rate : NAN, left);
    if (is_bytes) {
        fj_format_bytes((uint64_t)done, done_text);
        fj_format_bytes((uint64_t)p->total, total_text);
        fj_format_bytes((uint64_t)rate, rate_text);
    } else {
        (void)snprintf(done_text, sizeof done_text, "%.0f", done);
        (void)snprintf(total_text, sizeof total_text, "%.0f %.12s", p->total, p->unit);
        (void)snprintf(rate_text, sizeof rate_text, "%.3g", rate);
    }
    (void)fprintf(stderr, "%s %s %3.0f %%  %s/%s  %s/s  %s left%s%s", p->title, fj_bar(share, 24, bar), 100 * share,
                  done_text, total_text, rate_text, left, note ? "  " : "", note ? note : "");
}

void fj_progress_show(fj_progress *p, double done, const char *note)
{
    double now = fj_seconds();
    if (p->is_quiet)
        return;
    if (p->started == 0)
        p->started = now;
    if (fj_is_terminal(STDERR_FILENO)) {
        if (done < p->total && now - p->drawn < 0.1)
            return;
        p->drawn = now;
        (void)fprintf(stderr, "\r\033[K");
        print_progress(p, done, note, now);
        (void)fflush(stderr);
        return;
    }
    int tenths = p->total > 0 ? (int)(10 * done / p->total) : 0;
    if (tenths <= p->tenths)
        return;
    p->tenths = tenths;
    print_progress(p, done, note, now);
    (void)fputc('\n', stderr);
}

void fj_progress_end(fj_progress *p)
{
    if (!p->is_quiet && p->drawn > 0)
        (void)fprintf(stderr, "\r\033[K");
    p->drawn = 0;
}

/* ---- tables --------------------------------------------------------------------------------------------------------------------------- */

enum { MAX_COLUMNS = 16 };

void fj_table_add(fj_table *t, const char *format, ...)
{
    char cell[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    fj_str_add(&t->cells, cell, strlen(cell) + 1);
}

static int cell_width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_cell(fj_str *out, const char *text, int width, char align, bool is_last)
{
    int gap = width - cell_width(text);
    fj_str_printf(out, "%*s%s%*s", align == 'r' ? gap : 0, "", text, align == 'r' || is_last ? 0 : gap, "");
    fj_str_add_text(out, is_last ? "" : "  ");
}

void fj_table_print(const fj_table *t, bool color, fj_str *out)
{
    int width[MAX_COLUMNS] = { 0 }, n = 0, column = 0;
    for (; t->titles[n] && n < MAX_COLUMNS; n++)
        width[n] = cell_width(t->titles[n]);
    const char *end = t->cells.data ? t->cells.data + t->cells.len : NULL;
    for (const char *c = t->cells.data; c < end; c += strlen(c) + 1, column = (column + 1) % n)
        width[column] = FJ_MAX(width[column], cell_width(c));
    fj_str_add_text(out, fj_style_code(FJ_STYLE_BOLD, color));
    for (int i = 0; i < n; i++)
        add_cell(out, t->titles[i], width[i], t->align[i], i + 1 == n);
    fj_str_printf(out, "%s\n", fj_style_code(FJ_STYLE_NONE, color));
    column = 0;
    for (const char *c = t->cells.data; c < end; c += strlen(c) + 1, column = (column + 1) % n) {
        add_cell(out, c, width[column], t->align[column], column + 1 == n);
        fj_str_add_text(out, column + 1 == n ? "\n" : "");
    }
}

void fj_table_free(fj_table *t)
{
    fj_str_free(&t->cells);
}
