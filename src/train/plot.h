/* SPDX-License-Identifier: Apache-2.0
 * The curve of a run's loss as a picture (SVG). */
#ifndef FJ_TRAIN_PLOT_H
#define FJ_TRAIN_PLOT_H

#include "base/err.h"

/* Draws the losses of a metrics.jsonl: each step thin, their running mean (0.9) thick. Fewer than two steps give an empty frame. */
fj_status fj_plot_losses(const char *metrics, const char *svg, fj_err *err);

#endif
