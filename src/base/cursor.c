/* SPDX-License-Identifier: Apache-2.0
 * See cursor.h. */
#include "base/cursor.h"

#include <string.h>

fj_cursor fj_cursor_over(const void *data, size_t len)
{
    return (fj_cursor){ .data = data, .len = len };
}

size_t fj_cursor_left(const fj_cursor *c)
{
    return c->bad ? 0 : c->len - c->at;
}

/* Copies n bytes, or zeroes when they are not there. */
static void get(fj_cursor *c, void *out, size_t n)
{
    if (c->bad || c->len - c->at < n) {
        c->bad = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, c->data + c->at, n);
    c->at += n;
}

uint8_t fj_cursor_u8(fj_cursor *c)
{
    uint8_t v;
    get(c, &v, sizeof v);
    return v;
}

uint16_t fj_cursor_u16(fj_cursor *c)
{
    uint16_t v;
    get(c, &v, sizeof v);
    return v;
}

uint32_t fj_cursor_u32(fj_cursor *c)
{
    uint32_t v;
    get(c, &v, sizeof v);
    return v;
}

uint64_t fj_cursor_u64(fj_cursor *c)
{
    uint64_t v;
    get(c, &v, sizeof v);
    return v;
}

float fj_cursor_f32(fj_cursor *c)
{
    float v;
    get(c, &v, sizeof v);
    return v;
}

double fj_cursor_f64(fj_cursor *c)
{
    double v;
    get(c, &v, sizeof v);
    return v;
}

fj_text fj_cursor_take(fj_cursor *c, uint64_t len)
{
    if (c->bad || c->len - c->at < len) {
        c->bad = true;
        return (fj_text){ 0 };
    }
    if (!len)
        return (fj_text){ .data = "" };
    fj_text t = { (const char *)c->data + c->at, (size_t)len };
    c->at += (size_t)len;
    return t;
}
