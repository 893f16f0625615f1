/* SPDX-License-Identifier: Apache-2.0
 * forja version: what this program is made of. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "cli/commands.h"

typedef struct settings {
    fj_common common;
} settings;

static const fj_option options[] = { { 0 } };

static fj_status run(const fj_call *call, fj_err *err)
{
    char has[64];
    const char *kernels = call->rt->kernels.name;
    fj_cpu_names(fj_cpu_features(), has);
    if (!((const settings *)call->settings)->common.json) {
        (void)printf("forja %s\ncompiler   %s\nprocessor  %s\nkernels    %s\n", FORJA_VERSION, __VERSION__, has,
                     kernels);
        return FJ_OK;
    }
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "version", fj_json_new_text(FORJA_VERSION, strlen(FORJA_VERSION))) &&
              fj_json_set(v, "compiler", fj_json_new_text(__VERSION__, strlen(__VERSION__))) &&
              fj_json_set(v, "processor", fj_json_new_text(has, strlen(has))) &&
              fj_json_set(v, "kernels", fj_json_new_text(kernels, strlen(kernels)));
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

const fj_command fj_command_version = {
    .name = "version",
    .summary = "Version, compiler, what the processor has.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
