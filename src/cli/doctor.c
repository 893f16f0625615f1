/* SPDX-License-Identifier: Apache-2.0
 * forja doctor: what this machine has, and what can be expected of it. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "tasks/machine.h"

typedef struct settings {
    fj_common common;
    double seconds;
} settings;

static const fj_option options[] = {
    { "seconds", "X", FJ_OPT_REAL, offsetof(settings, seconds), "0.5", "time for each measurement", 0.01, 60, 0 },
    { 0 },
};

typedef struct facts {
    char processor[128], features[64], system[160];
    const char *kernels;
    int processors, threads;
    uint64_t memory_total, memory_available, disk_free;
    fj_machine m;
} facts;

/* "model name" of /proc/cpuinfo, where there is one. */
static void find_processor(char *out, size_t size)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    (void)snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        (void)snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
        out[strcspn(out, "\n")] = '\0';
        break;
    }
    if (f)
        (void)fclose(f);
}

static fj_status collect(const fj_call *call, facts *f, fj_err *err)
{
    struct utsname system;
    find_processor(f->processor, sizeof f->processor);
    fj_cpu_names(fj_cpu_features(), f->features);
    if (uname(&system) == 0)
        (void)snprintf(f->system, sizeof f->system, "%.40s %.60s %.40s", system.sysname, system.release,
                       system.machine);
    f->kernels = call->rt->kernels.name;
    f->processors = fj_cpu_count();
    f->threads = fj_pool_threads(call->rt->pool);
    f->memory_total = fj_memory_total();
    f->memory_available = fj_memory_available();
    f->disk_free = fj_disk_free(".");
    fj_note(call->rt->log, "measuring …");
    return fj_machine_measure(call->rt->pool, &call->rt->kernels, ((const settings *)call->settings)->seconds, &f->m,
                              err);
}

static fj_status print_json(const facts *f, fj_err *err)
{
    const struct {
        const char *key, *value;
    } texts[] = { { "version", FORJA_VERSION },  { "compiler", __VERSION__ }, { "system", f->system },
                  { "processor", f->processor }, { "features", f->features }, { "kernels", f->kernels } };
    const struct {
        const char *key;
        double value;
    } numbers[] = { { "processors", f->processors },
                    { "threads", f->threads },
                    { "memory_total", (double)f->memory_total },
                    { "memory_available", (double)f->memory_available },
                    { "disk_free", (double)f->disk_free },
                    { "read_bytes_per_second", f->m.read_bytes_per_second },
                    { "f32_flops", f->m.f32_flops },
                    { "bf16_flops", f->m.bf16_flops },
                    { "int8_ops", f->m.int8_ops } };
    fj_json *v = fj_json_new_object();
    bool ok = v != NULL;
    for (size_t i = 0; i < FJ_LEN(texts) && ok; i++)
        ok = fj_json_set(v, texts[i].key, fj_json_new_text(texts[i].value, strlen(texts[i].value)));
    for (size_t i = 0; i < FJ_LEN(numbers) && ok; i++)
        ok = fj_json_set(v, numbers[i].key, fj_json_new_int((int64_t)numbers[i].value));
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

/* Generation reads every weight once a token, so bandwidth over size is its limit. */
static void print_expectations(const facts *f)
{
    static const struct {
        const char *name;
        double bytes;
    } models[] = { { "135M, Q4_1", 98e6 },
                   { "1.1B, Q4_K_M", 670e6 },
                   { "7B, Q4_K_M", 4.4e9 },
                   { "7B, Q8_0", 7.7e9 },
                   { "13B, Q4_K_M", 7.9e9 } };
    static const char *const titles[] = { "model", "weights", "fits", "at most", NULL };
    fj_table t = { .titles = titles, .align = "lrlr" };
    fj_str text = { 0 };
    char size[24];
    for (size_t i = 0; i < FJ_LEN(models); i++) {
        bool fits = models[i].bytes * 1.1 < (double)f->memory_available;
        fj_table_add(&t, "%s", models[i].name);
        fj_table_add(&t, "%s", fj_format_bytes((uint64_t)models[i].bytes, size));
        fj_table_add(&t, "%s", fits ? "yes" : "no");
        fj_table_add(&t, "%.1f tokens/s", f->m.read_bytes_per_second / models[i].bytes);
    }
    fj_table_print(&t, fj_wants_color(STDOUT_FILENO), &text);
    (void)printf("\n%s", text.data ? text.data : "");
    fj_str_free(&text);
    fj_table_free(&t);
}

static fj_status run(const fj_call *call, fj_err *err)
{
    facts f = { 0 };
    char total[24], available[24], disk[24], rate[24];
    fj_status st = collect(call, &f, err);
    if (st)
        return st;
    if (((const settings *)call->settings)->common.json)
        return print_json(&f, err);
    (void)printf("forja      %s, compiler %s\nsystem     %s\nprocessor  %s\n           %d usable, %s; kernels %s on %d "
                 "threads\n",
                 FORJA_VERSION, __VERSION__, f.system, f.processor, f.processors, f.features, f.kernels, f.threads);
    (void)printf("memory     %s, %s free; disk here %s free\n", fj_format_bytes(f.memory_total, total),
                 fj_format_bytes(f.memory_available, available), fj_format_bytes(f.disk_free, disk));
    (void)printf("reads      %s/s\nproducts   f32 %.0f, bf16 %.0f, int8 %.0f billion operations/s\n",
                 fj_format_bytes((uint64_t)f.m.read_bytes_per_second, rate), f.m.f32_flops / 1e9, f.m.bf16_flops / 1e9,
                 f.m.int8_ops / 1e9);
    print_expectations(&f);
    return FJ_OK;
}

const fj_command fj_command_doctor = {
    .name = "doctor",
    .summary = "What this machine has, measured: cores, memory, bandwidth, products.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
