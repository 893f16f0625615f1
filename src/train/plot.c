/* SPDX-License-Identifier: Apache-2.0
 * See plot.h. A frame of two axes with round numbers, and two lines. */
#include "train/plot.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/str.h"
#include "train/metrics.h"

enum { WIDTH = 800, HEIGHT = 480, LEFT = 64, RIGHT = 16, TOP = 32, BOTTOM = 48, TICKS = 6 };

typedef struct axis {
    double least, most, step; /* of the ticks: 1, 2 or 5 times a power of ten */
    double from, to;          /* pixels of least and most */
} axis;

static axis make_axis(const double *values, size_t n, double from, double to)
{
    axis a = { .from = from, .to = to, .least = INFINITY, .most = -INFINITY };
    for (size_t i = 0; i < n; i++) {
        a.least = fmin(a.least, values[i]);
        a.most = fmax(a.most, values[i]);
    }
    if (!(a.most > a.least)) { /* one value, or none */
        a.least = n ? a.least - 0.5 : 0;
        a.most = n ? a.most + 0.5 : 1;
    }
    double rough = (a.most - a.least) / TICKS, power = pow(10, floor(log10(rough)));
    a.step = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
    return a;
}

static double pixel(const axis *a, double value)
{
    return a->from + (a->to - a->from) * (value - a->least) / (a->most - a->least);
}

static void add_ticks(fj_str *s, const axis *x, const axis *y)
{
    for (double v = ceil(x->least / x->step) * x->step; v <= x->most + 1e-9 * x->step; v += x->step)
        fj_str_printf(s, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", pixel(x, v),
                      HEIGHT - BOTTOM + 18, fabs(v) < 1e-9 * x->step ? 0 : v);
    for (double v = ceil(y->least / y->step) * y->step; v <= y->most + 1e-9 * y->step; v += y->step)
        fj_str_printf(s,
                      "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                      LEFT, WIDTH - RIGHT, pixel(y, v), pixel(y, v), LEFT - 8, pixel(y, v) + 4,
                      fabs(v) < 1e-9 * y->step ? 0 : v);
}

static void add_line(fj_str *s, const axis *x, const axis *y, const double *steps, const double *values, size_t n,
                     const char *style)
{
    fj_str_printf(s, "<polyline fill=\"none\" %s points=\"", style);
    for (size_t i = 0; i < n; i++)
        fj_str_printf(s, "%.1f,%.1f ", pixel(x, steps[i]), pixel(y, values[i]));
    fj_str_add_text(s, "\"/>\n");
}

static void draw(fj_str *s, const double *steps, const double *losses, const double *smooth, size_t n)
{
    axis x = make_axis(steps, n, LEFT, WIDTH - RIGHT), y = make_axis(losses, n, HEIGHT - BOTTOM, TOP);
    fj_str_printf(s,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                  "<text x=\"%d\" y=\"20\" font-size=\"14\">training loss</text>\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    add_ticks(s, &x, &y);
    fj_str_printf(s, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">step</text>\n", (LEFT + WIDTH - RIGHT) / 2,
                  HEIGHT - 10);
    fj_str_printf(s, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#444\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
                  WIDTH - RIGHT);
    add_line(s, &x, &y, steps, losses, n, "stroke=\"#9ecae1\" stroke-width=\"1\"");
    add_line(s, &x, &y, steps, smooth, n, "stroke=\"#d7301f\" stroke-width=\"2\"");
    fj_str_add_text(s, "</svg>\n");
}

fj_status fj_plot_losses(const char *metrics, const char *svg, fj_err *err)
{
    double *steps = NULL, *losses = NULL, mean = 0;
    size_t n = 0;
    fj_str text = { 0 };
    fj_status st = fj_metrics_losses(metrics, &steps, &losses, &n, err);
    double *smooth = st ? NULL : calloc(n + 1, sizeof *smooth);
    if (!st && !smooth)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the curve of the loss");
    for (size_t i = 0; i < n && !st; i++) {
        mean = i ? 0.9 * mean + 0.1 * losses[i] : losses[i];
        smooth[i] = mean;
    }
    if (!st) {
        draw(&text, steps, losses, smooth, n);
        st = text.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for the curve of the loss")
                         : fj_file_write(svg, text.data, text.len, err);
    }
    fj_str_free(&text);
    free(steps);
    free(losses);
    free(smooth);
    return st;
}
