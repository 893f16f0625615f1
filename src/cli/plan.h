/* SPDX-License-Identifier: Apache-2.0
 * What the files of forja plan share. */
#ifndef FJ_CLI_PLAN_H
#define FJ_CLI_PLAN_H

#include "cli/commands.h"
#include "plan/plan.h"

/* The guide's hardware table: its estimate beside forja's plan, for rows of this length and batch (asked's method does not count). */
fj_status fj_plan_print_guide(const fj_call *call, const fj_plan_wanted *asked, bool as_json, fj_err *err);

#endif
