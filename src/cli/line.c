/* SPDX-License-Identifier: Apache-2.0
 * See line.h. While a line is edited, the terminal sends Ctrl-C as a character: libedit would otherwise be left in the middle of its work
 * by the signal. */
#include "cli/line.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/map.h"

enum { HISTORY_LINES = 2000, MAX_MESSAGE = 16 << 20 };

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";
static const wchar_t paste_end[] = L"\033[201~";

struct fj_lines {
    EditLine *edit;
    History *history;
    char *path;
    const char *prompt;
    bool was_cancelled, is_terminal;
};

static char *prompt_of(EditLine *edit)
{
    fj_lines *l = NULL;
    (void)el_get(edit, EL_CLIENTDATA, &l);
    return (char *)(uintptr_t)(l ? l->prompt : "> ");
}

static unsigned char on_cancel(EditLine *edit, wint_t c)
{
    fj_lines *l = NULL;
    (void)c;
    (void)el_get(edit, EL_CLIENTDATA, &l);
    if (l)
        l->was_cancelled = true;
    return CC_NEWLINE;
}

/* Terminals put ESC [200~ and ESC [201~ around what is pasted: its newlines are a part of the message and do not send it. */
static unsigned char on_paste(EditLine *edit, wint_t c)
{
    enum { END = FJ_LEN(paste_end) - 1 };
    size_t n = 0, cap = 0;
    wchar_t *text = NULL, one;
    (void)c;
    while (n < MAX_MESSAGE && el_wgetc(edit, &one) == 1) {
        if (n + 1 >= cap) {
            wchar_t *more = realloc(text, (cap = cap ? cap * 2 : 1024) * sizeof *text);
            if (!more)
                break;
            text = more;
        }
        text[n++] = one == L'\r' ? L'\n' : one;
        if (n >= END && !wmemcmp(text + n - END, paste_end, END)) {
            n -= END;
            break;
        }
    }
    if (text) {
        text[n] = L'\0';
        (void)el_winsertstr(edit, text);
    }
    free(text);
    return CC_REFRESH;
}

static void make_parent(const char *path)
{
    fj_err ignored = { 0 };
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) {
        *slash = '\0';
        fj_status st = fj_make_dirs(folder, &ignored); /* without it there is no history, that is all */
        (void)st;
    }
    free(folder);
}

fj_status fj_lines_open(const char *path, fj_lines **out, fj_err *err)
{
    HistEvent event;
    fj_lines *l = calloc(1, sizeof *l);
    *out = NULL;
    if (l) {
        l->edit = el_init("forja", stdin, stdout, stderr);
        l->history = history_init();
        l->path = path ? strdup(path) : NULL;
        const char *kind = getenv("TERM");
        l->is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && strcmp(kind, "dumb") != 0;
    }
    if (!l || !l->edit || !l->history) {
        fj_lines_close(l);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to edit lines");
    }
    (void)el_set(l->edit, EL_CLIENTDATA, l);
    (void)el_set(l->edit, EL_PROMPT, prompt_of);
    (void)el_set(l->edit, EL_EDITOR, "emacs");
    (void)el_set(l->edit, EL_HIST, history, l->history);
    (void)el_wset(l->edit, EL_ADDFN, L"forja-cancel", L"leave this line", on_cancel); /* el_set would leak copies */
    (void)el_set(l->edit, EL_BIND, "^C", "forja-cancel", NULL);
    (void)el_wset(l->edit, EL_ADDFN, L"forja-paste", L"take what is pasted as one text", on_paste);
    (void)el_set(l->edit, EL_BIND, "\\e[200~", "forja-paste", NULL);
    (void)el_set(l->edit, EL_SIGNAL, 1); /* follows the size of the window */
    (void)el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_set(l->edit, EL_SETTY, "-d", "-isig", NULL);
    (void)history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(l->history, &event, H_SETUNIQUE, 1);
    if (l->path && fj_path_exists(l->path))
        (void)history(l->history, &event, H_LOAD, l->path);
    *out = l;
    return FJ_OK;
}

void fj_lines_close(fj_lines *l)
{
    HistEvent event;
    if (!l)
        return;
    if (l->path && l->history) {
        make_parent(l->path);
        (void)history(l->history, &event, H_SAVE, l->path);
    }
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
    free(l->path);
    free(l);
}

/* One line without its newline, at the end of out. */
static fj_line_end read_one(fj_lines *l, const char *prompt, fj_str *out)
{
    int n = 0;
    l->prompt = prompt;
    l->was_cancelled = false;
    if (l->is_terminal)
        (void)fputs(paste_on, stdout);
    const char *line = el_gets(l->edit, &n);
    if (l->is_terminal)
        (void)fputs(paste_off, stdout);
    if (l->was_cancelled) {
        (void)fprintf(stdout, "^C\n");
        return FJ_LINE_CANCELLED;
    }
    if (!line || n <= 0)
        return FJ_LINE_CLOSED;
    fj_str_add(out, line, (size_t)(line[n - 1] == '\n' ? n - 1 : n));
    return out->len > MAX_MESSAGE ? FJ_LINE_CANCELLED : FJ_LINE_DONE;
}

static bool ends_with(const fj_str *s, const char *ending)
{
    size_t n = strlen(ending);
    return s->len >= n && !memcmp(s->data + s->len - n, ending, n);
}

static void cut(fj_str *s, size_t n)
{
    s->len -= n;
    s->data[s->len] = '\0';
}

/* Behind """, up to the next """. */
static fj_line_end read_block(fj_lines *l, fj_str *out)
{
    fj_line_end end = FJ_LINE_DONE;
    memmove(out->data, out->data + 3, out->len - 3);
    cut(out, 3);
    while (end == FJ_LINE_DONE && !ends_with(out, "\"\"\"")) {
        if (out->len)
            fj_str_add_char(out, '\n');
        end = read_one(l, "... ", out);
    }
    if (end == FJ_LINE_DONE)
        cut(out, 3);
    if (end == FJ_LINE_DONE && ends_with(out, "\n"))
        cut(out, 1);
    return end;
}

fj_line_end fj_lines_read(fj_lines *l, const char *prompt, fj_str *out)
{
    HistEvent event;
    fj_str_clear(out);
    fj_line_end end = read_one(l, prompt, out);
    if (end == FJ_LINE_DONE && out->len >= 3 && !memcmp(out->data, "\"\"\"", 3))
        end = read_block(l, out);
    while (end == FJ_LINE_DONE && ends_with(out, "\\")) {
        cut(out, 1);
        fj_str_add_char(out, '\n');
        end = read_one(l, "... ", out);
    }
    if (end == FJ_LINE_DONE && out->len)
        (void)history(l->history, &event, H_ENTER, out->data);
    return end;
}

char *fj_state_path(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    fj_str path = { 0 };
    if (state && *state)
        fj_str_printf(&path, "%s/forja/%s", state, name);
    else if (home && *home)
        fj_str_printf(&path, "%s/.local/state/forja/%s", home, name);
    return path.data;
}
