/* SPDX-License-Identifier: Apache-2.0
 * Help, from the tables. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/command.h"

enum { LEFT = 30, LEAST_WIDTH = 60, MOST_WIDTH = 110 };

static int columns(const char *text, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Appends text from column `at`, broken at blanks to fit width, further lines starting at column `indent`. */
static void wrap(fj_str *out, const char *text, int at, int indent, int width)
{
    bool is_first = true;
    while (*text) {
        size_t len = strcspn(text, " ");
        int n = columns(text, len);
        if (!is_first && at + 1 + n > width) {
            fj_str_printf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!is_first) {
            fj_str_add_char(out, ' ');
            at++;
        }
        fj_str_add(out, text, len);
        at += n;
        text += len;
        text += strspn(text, " ");
        is_first = false;
    }
    fj_str_add_char(out, '\n');
}

static void add_row(fj_str *out, const char *left, const char *right, int indent, int width)
{
    int n = columns(left, strlen(left));
    fj_str_printf(out, "  %s", left);
    if (n + 4 > indent)
        fj_str_printf(out, "\n%*s", indent, "");
    else
        fj_str_printf(out, "%*s", indent - n - 2, "");
    wrap(out, right, indent, indent, width);
}

void fj_help_all(int width, fj_str *out)
{
    width = FJ_MAX(LEAST_WIDTH, FJ_MIN(width, MOST_WIDTH));
    fj_str_printf(
        out,
        "forja %s runs, quantizes and fine-tunes language models.\n\nusage: forja COMMAND [OPTIONS]\n\ncommands:\n",
        FORJA_VERSION);
    for (const fj_command *const *c = fj_commands; *c; c++)
        add_row(out, (*c)->name, (*c)->summary, 18, width);
    fj_str_add_char(out, '\n');
    wrap(out,
         "MODEL is a folder in Hugging Face form, a .gguf file, or hf:org/name[@revision][:file], fetched when it is "
         "needed. forja COMMAND --help says more.",
         0, 0, width);
}

static bool is_positional(const fj_option *o)
{
    return o->kind == FJ_OPT_ARG || o->kind == FJ_OPT_REST;
}

static void add_usage(fj_str *out, const fj_command *c)
{
    fj_str_printf(out, "usage: forja %s", c->name);
    for (const fj_option *o = c->options; o->name; o++)
        if (o->kind == FJ_OPT_ARG)
            fj_str_printf(out, o->fallback ? " [%s]" : " %s", o->name);
        else if (o->kind == FJ_OPT_REST)
            fj_str_printf(out, " [%s ...]", o->name);
    fj_str_add_text(out, " [OPTIONS]\n\n");
}

static void add_option(fj_str *out, const fj_option *o, int width)
{
    char left[80], letter[12] = "    ";
    fj_str right = { 0 };
    if (o->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
    if (o->alias)
        (void)snprintf(letter, sizeof letter, "-%s, ", o->alias);
    if (is_positional(o))
        (void)snprintf(left, sizeof left, "%s", o->name);
    else
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
    fj_str_add_text(&right, o->help);
    if (o->choices)
        fj_str_printf(&right, ": %s", o->choices);
    if (o->fallback && *o->fallback)
        fj_str_printf(&right, " [%s]", o->fallback);
    add_row(out, left, right.data ? right.data : "", LEFT, width);
    fj_str_free(&right);
}

static void add_options(fj_str *out, const char *title, const fj_option *table, int width)
{
    if (!table || !table->name)
        return;
    fj_str_printf(out, "\n%s:\n", title);
    for (const fj_option *o = table; o->name; o++)
        add_option(out, o, width);
}

void fj_help_command(const fj_command *c, int width, fj_str *out)
{
    width = FJ_MAX(LEAST_WIDTH, FJ_MIN(width, MOST_WIDTH));
    add_usage(out, c);
    wrap(out, c->summary, 0, 0, width);
    if (c->about)
        fj_str_printf(out, "\n%s\n", c->about);
    add_options(out, "options", c->options, width);
    for (const fj_option_group *g = c->groups; g && g->title; g++)
        add_options(out, g->title, g->options, width);
    add_options(out, "everywhere", fj_common_options, width);
    if (c->list) {
        fj_str_add_char(out, '\n');
        c->list(out);
    }
}
