/* SPDX-License-Identifier: Apache-2.0
 * Rows to messages: alpaca, sharegpt and openai.
 * Source: LLaMA-Factory data/converter.py (AlpacaDatasetConverter, SharegptDatasetConverter) and data/parser.py. */

#include <string.h>

#include "data/data_internal.h"

fj_columns fj_columns_default(void)
{
    return (fj_columns){ .prompt = "instruction",
                         .query = "input",
                         .response = "output",
                         .history = "history",
                         .system = "system",
                         .messages = "conversations",
                         .tools = "tools",
                         .text = "text" };
}

fj_tags fj_tags_sharegpt(void)
{
    return (fj_tags){ "from", "value", "human", "gpt", "observation", "function_call", "system" };
}

fj_tags fj_tags_openai(void)
{
    return (fj_tags){ "role", "content", "user", "assistant", "tool", "function_call", "system" };
}

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the messages of a row");
}

static const fj_json *column(const fj_json *row, const char *name)
{
    return name ? fj_json_get(row, name) : NULL;
}

/* An optional text: *out is empty when the column is absent or null. */
static fj_status text_column(const fj_json *row, const char *name, fj_text *out, fj_err *err)
{
    const fj_json *v = column(row, name);
    *out = (fj_text){ "", 0 };
    if (!v || fj_json_is_null(v))
        return FJ_OK;
    if (!fj_json_is_string(v))
        return fj_fail(err, FJ_ERR_DATA, "column '%s' is not a text", name);
    *out = fj_json_text(v);
    return FJ_OK;
}

static fj_status add_message(fj_json *messages, const char *role, fj_text content, fj_err *err)
{
    fj_json *m = fj_json_new_object();
    bool ok = m && fj_json_set(m, "role", fj_json_new_text(role, strlen(role))) &&
              fj_json_set(m, "content", fj_json_new_text(content.data, content.len));
    if (!ok) {
        fj_json_free(m);
        return no_memory(err);
    }
    return fj_json_add(messages, m) ? FJ_OK : no_memory(err);
}

/* ---- alpaca ------------------------------------------------------------------------------------------------------- */

static fj_status add_history(const fj_json *history, fj_json *messages, fj_err *err)
{
    if (!history || fj_json_is_null(history))
        return FJ_OK;
    if (!fj_json_is_array(history))
        return fj_fail(err, FJ_ERR_DATA, "column 'history' is not a list of [question, answer] pairs");
    for (size_t i = 0; i < fj_json_len(history); i++) {
        const fj_json *pair = fj_json_at(history, i);
        if (fj_json_len(pair) != 2 || !fj_json_is_string(fj_json_at(pair, 0)) ||
            !fj_json_is_string(fj_json_at(pair, 1)))
            return fj_fail(err, FJ_ERR_DATA, "entry %zu of 'history' is not a [question, answer] pair of texts", i + 1);
        fj_status st = add_message(messages, "user", fj_json_text(fj_json_at(pair, 0)), err);
        if (!st)
            st = add_message(messages, "assistant", fj_json_text(fj_json_at(pair, 1)), err);
        if (st)
            return st;
    }
    return FJ_OK;
}

/* instruction and input are one question, a newline between them, as LLaMA-Factory joins them. */
static fj_status add_question(fj_text prompt, fj_text query, fj_json *messages, fj_err *err)
{
    fj_str joined = { 0 };
    fj_str_add(&joined, prompt.data, prompt.len);
    if (prompt.len && query.len)
        fj_str_add_char(&joined, '\n');
    fj_str_add(&joined, query.data, query.len);
    fj_status st = joined.failed
                       ? no_memory(err)
                       : add_message(messages, "user", (fj_text){ joined.data ? joined.data : "", joined.len }, err);
    fj_str_free(&joined);
    return st;
}

static fj_status alpaca_parts(const fj_row_source *s, const fj_json *row, fj_json *messages, fj_err *err)
{
    fj_text prompt, query, response, system;
    fj_status st = text_column(row, s->columns.prompt, &prompt, err);
    if (!st)
        st = text_column(row, s->columns.query, &query, err);
    if (!st)
        st = text_column(row, s->columns.response, &response, err);
    if (!st)
        st = text_column(row, s->columns.system, &system, err);
    if (st)
        return st;
    if (prompt.len == 0 && query.len == 0)
        return fj_fail(err, FJ_ERR_DATA, "no question: column '%s' is missing or empty",
                       s->columns.prompt ? s->columns.prompt : "prompt");
    if (!column(row, s->columns.response))
        return fj_fail(err, FJ_ERR_DATA, "no answer: column '%s' is missing",
                       s->columns.response ? s->columns.response : "response");
    if (system.len)
        st = add_message(messages, "system", system, err);
    if (!st)
        st = add_history(column(row, s->columns.history), messages, err);
    if (!st)
        st = add_question(prompt, query, messages, err);
    return st ? st : add_message(messages, "assistant", response, err);
}

static fj_status read_tools(const fj_row_source *s, const fj_json *row, fj_json **tools, fj_err *err);

static fj_status alpaca_messages(const fj_row_source *s, const fj_json *row, fj_json **messages, fj_json **tools,
                                 fj_err *err)
{
    *messages = fj_json_new_array();
    *tools = NULL;
    if (!*messages)
        return no_memory(err);
    fj_status st = alpaca_parts(s, row, *messages, err);
    return st ? st : read_tools(s, row, tools, err);
}

static bool alpaca_looks_like(const fj_json *row, fj_row_source *s)
{
    static const char *const pairs[][2] = { { "instruction", "output" },
                                            { "prompt", "response" },
                                            { "prompt", "completion" },
                                            { "question", "answer" },
                                            { "instruction", "response" } };
    for (size_t i = 0; i < FJ_LEN(pairs); i++)
        if (fj_json_is_string(fj_json_get(row, pairs[i][0])) && fj_json_is_string(fj_json_get(row, pairs[i][1]))) {
            s->columns = fj_columns_default();
            s->columns.prompt = pairs[i][0];
            s->columns.response = pairs[i][1];
            return true;
        }
    return false;
}

const fj_row_shape fj_row_shape_alpaca = {
    .name = "alpaca",
    .kind = FJ_SHAPE_CHAT,
    .looks_like = alpaca_looks_like,
    .messages = alpaca_messages,
};

/* ---- sharegpt and openai ------------------------------------------------------------------------------------------ */

/* A tool as Hugging Face's templates want it: LLaMA-Factory's data has the bare function. */
static fj_json *wrapped_tool(const fj_json *tool)
{
    fj_json *shared = fj_json_share((fj_json *)tool);
    if (fj_json_get(tool, "function"))
        return shared;
    fj_json *out = fj_json_new_object();
    bool ok = out && fj_json_set(out, "type", fj_json_new_text("function", 8)) && fj_json_set(out, "function", shared);
    if (!out)
        fj_json_free(shared);
    if (ok)
        return out;
    fj_json_free(out);
    return NULL;
}

/* The column holds a list, or the text of one. */
static fj_status read_tools(const fj_row_source *s, const fj_json *row, fj_json **tools, fj_err *err)
{
    const fj_json *v = column(row, s->columns.tools);
    fj_json *parsed = NULL;
    fj_err inner = { 0 };
    *tools = NULL;
    if (fj_json_is_string(v)) {
        fj_text text = fj_json_text(v);
        if (text.len == 0)
            return FJ_OK;
        if (fj_json_parse(text.data, text.len, s->columns.tools, false, &parsed, &inner))
            return fj_fail(err, FJ_ERR_DATA, "column '%s' is not JSON: %.200s", s->columns.tools, inner.message);
        v = parsed;
    }
    if (!v || fj_json_is_null(v) || (fj_json_is_array(v) && fj_json_len(v) == 0)) {
        fj_json_free(parsed);
        return FJ_OK;
    }
    fj_status st = FJ_OK;
    *tools = fj_json_new_array();
    if (!fj_json_is_array(v))
        st = fj_fail(err, FJ_ERR_DATA, "column '%s' is not a list of tools", s->columns.tools);
    for (size_t i = 0; !st && i < fj_json_len(v); i++)
        if (!*tools || !fj_json_add(*tools, wrapped_tool(fj_json_at(v, i))))
            st = no_memory(err);
    fj_json_free(parsed);
    return st;
}

/* [{"type":"text","text":…}, …] becomes one text; other parts (images) are refused. */
static fj_status joined_parts(const fj_json *parts, fj_str *out, fj_err *err)
{
    for (size_t i = 0; i < fj_json_len(parts); i++) {
        const fj_json *part = fj_json_at(parts, i);
        fj_text text = fj_json_text(fj_json_get(part, "text"));
        if (!text.data)
            return fj_fail(err, FJ_ERR_DATA, "part %zu of a message is not text", i + 1);
        fj_str_add(out, text.data, text.len);
    }
    return out->failed ? no_memory(err) : FJ_OK;
}

/* A function call written as text {"name","arguments"} (or a list of them) becomes tool_calls. *done false: it is not one. */
static fj_status add_tool_calls(fj_text content, fj_json *message, bool *done, fj_err *err)
{
    fj_json *parsed = NULL;
    fj_err inner = { 0 };
    *done = false;
    if (fj_json_parse(content.data, content.len, "function call", false, &parsed, &inner))
        return FJ_OK;
    fj_json *calls = fj_json_new_array();
    size_t n = fj_json_is_array(parsed) ? fj_json_len(parsed) : 1;
    bool ok = calls != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        fj_json *call = fj_json_is_array(parsed) ? fj_json_at(parsed, i) : parsed;
        if (!fj_json_is_string(fj_json_get(call, "name"))) {
            fj_json_free(calls);
            fj_json_free(parsed);
            return FJ_OK;
        }
        ok = fj_json_add(calls, wrapped_tool(call));
    }
    fj_json_free(parsed);
    if (!ok)
        fj_json_free(calls);
    ok = ok && fj_json_set(message, "tool_calls", calls) && fj_json_set(message, "content", fj_json_new_text("", 0));
    *done = ok;
    return ok ? FJ_OK : no_memory(err);
}

static const char *speaker(const fj_tags *t, const char *role)
{
    static const char *const own[] = { "system", "user", "assistant", "tool", "developer" };
    const char *const tags[][2] = { { t->user, "user" },
                                    { t->assistant, "assistant" },
                                    { t->observation, "tool" },
                                    { t->function, "function" },
                                    { t->system, "system" } };
    for (size_t i = 0; i < FJ_LEN(tags); i++)
        if (tags[i][0] && strcmp(role, tags[i][0]) == 0)
            return tags[i][1];
    for (size_t i = 0; i < FJ_LEN(own); i++)
        if (strcmp(role, own[i]) == 0)
            return own[i];
    return NULL;
}

/* The message's other members (tool_calls, name, tool_call_id …) go along under their names. */
static fj_status copy_members(const fj_row_source *s, const fj_json *from, fj_json *to, fj_err *err)
{
    for (void *i = fj_json_first(from); i; i = fj_json_next((fj_json *)from, i)) {
        const char *key = fj_json_key(i);
        if (strcmp(key, s->tags.role) == 0 || strcmp(key, s->tags.content) == 0)
            continue;
        if (!fj_json_set(to, key, fj_json_share(fj_json_member(i))))
            return no_memory(err);
    }
    return FJ_OK;
}

static fj_status one_message(const fj_row_source *s, const fj_json *from, fj_json *to, fj_err *err)
{
    const char *role = fj_json_string(fj_json_get(from, s->tags.role), NULL);
    const fj_json *content = fj_json_get(from, s->tags.content);
    fj_str joined = { 0 };
    bool is_call = false;
    if (!role)
        return fj_fail(err, FJ_ERR_DATA, "it has no '%s'", s->tags.role);
    const char *who = speaker(&s->tags, role);
    if (!who)
        return fj_fail(err, FJ_ERR_DATA, "'%s' is '%.60s', expected '%s', '%s', '%s' or '%s'", s->tags.role, role,
                       s->tags.user, s->tags.assistant, s->tags.system, s->tags.observation);
    fj_status st = copy_members(s, from, to, err);
    if (!st && fj_json_is_array(content))
        st = joined_parts(content, &joined, err);
    else if (!st && fj_json_is_string(content))
        fj_str_add(&joined, fj_json_text(content).data, fj_json_text(content).len);
    else if (!st && content && !fj_json_is_null(content))
        st = fj_fail(err, FJ_ERR_DATA, "'%s' is not a text", s->tags.content);
    else if (!st && !fj_json_get(from, "tool_calls"))
        st = fj_fail(err, FJ_ERR_DATA, "it has no '%s'", s->tags.content);
    if (!st && strcmp(who, "function") == 0) {
        st = add_tool_calls((fj_text){ joined.data ? joined.data : "", joined.len }, to, &is_call, err);
        who = "assistant";
        /* the text goes along for templates that know nothing of calls (tokenize.c, prepared) */
        if (!st && is_call && !fj_json_set(to, "call_text", fj_json_new_text(joined.data, joined.len)))
            st = no_memory(err);
    }
    if (!st && !is_call && !fj_json_set(to, "content", fj_json_new_text(joined.data ? joined.data : "", joined.len)))
        st = no_memory(err);
    if (!st && !fj_json_set(to, "role", fj_json_new_text(who, strlen(who))))
        st = no_memory(err);
    fj_str_free(&joined);
    return st;
}

static fj_status check_turns(const fj_json *messages, fj_err *err)
{
    size_t n = fj_json_len(messages);
    const char *last = fj_json_string(fj_json_get(fj_json_at(messages, n - 1), "role"), "");
    if (strcmp(last, "assistant") == 0)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_DATA,
                  "the conversation ends with a %s message, so there is nothing to learn from its end", last);
    return fj_hint(err, "end it with the assistant's answer, or take the last message away");
}

static fj_status chat_messages(const fj_row_source *s, const fj_json *row, fj_json **messages, fj_json **tools,
                               fj_err *err)
{
    const fj_json *from = column(row, s->columns.messages);
    fj_text system;
    fj_status st = FJ_OK;
    *messages = fj_json_new_array();
    *tools = NULL;
    if (!*messages)
        return no_memory(err);
    if (!fj_json_is_array(from))
        return fj_fail(err, FJ_ERR_DATA, "column '%s' is missing or not a list", s->columns.messages);
    if (fj_json_len(from) == 0)
        return fj_fail(err, FJ_ERR_DATA, "column '%s' is empty", s->columns.messages);
    st = text_column(row, s->columns.system, &system, err);
    if (!st && system.len)
        st = add_message(*messages, "system", system, err);
    for (size_t i = 0; !st && i < fj_json_len(from); i++) {
        fj_json *to = fj_json_new_object();
        st = to ? one_message(s, fj_json_at(from, i), to, err) : no_memory(err);
        if (st) {
            fj_json_free(to);
            return fj_prefix(err, "message %zu", i + 1);
        }
        if (!fj_json_add(*messages, to))
            st = no_memory(err);
    }
    if (!st)
        st = check_turns(*messages, err);
    return st ? st : read_tools(s, row, tools, err);
}

/* Fits when `name` is a list of objects with these members. */
static bool list_of(const fj_json *row, const char *name, const char *role, const char *content)
{
    const fj_json *first = fj_json_at(fj_json_get(row, name), 0);
    return fj_json_is_string(fj_json_get(first, role)) &&
           (fj_json_get(first, content) || fj_json_get(first, "tool_calls"));
}

static bool sharegpt_looks_like(const fj_json *row, fj_row_source *s)
{
    static const char *const names[] = { "conversations", "conversation", "messages" };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        s->columns = fj_columns_default();
        s->columns.messages = names[i];
        s->tags = fj_tags_sharegpt();
        if (list_of(row, names[i], "from", "value"))
            return true;
        s->tags = fj_tags_openai();
        if (strcmp(names[i], "messages") != 0 && list_of(row, names[i], "role", "content"))
            return true;
    }
    return false;
}

static bool openai_looks_like(const fj_json *row, fj_row_source *s)
{
    s->columns = fj_columns_default();
    s->columns.messages = "messages";
    s->tags = fj_tags_openai();
    return list_of(row, "messages", "role", "content");
}

const fj_row_shape fj_row_shape_sharegpt = {
    .name = "sharegpt",
    .kind = FJ_SHAPE_CHAT,
    .looks_like = sharegpt_looks_like,
    .messages = chat_messages,
};

const fj_row_shape fj_row_shape_openai = {
    .name = "openai",
    .kind = FJ_SHAPE_CHAT,
    .looks_like = openai_looks_like,
    .messages = chat_messages,
};
