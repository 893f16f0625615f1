/* SPDX-License-Identifier: Apache-2.0
 * See buffer.h. */
#include "base/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

enum { HUGE_BYTES = 2 << 20 };

static fj_status take(fj_buffer *out, size_t size, int flags, const char *what, fj_err *err)
{
    *out = (fj_buffer){ 0 };
    if (size == 0)
        return FJ_OK;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED) {
        char text[24];
        (void)fj_fail(err, FJ_ERR_MEMORY, "no memory for %s: %s", what, fj_format_bytes(size, text));
        return fj_hint(err, "forja plan shows what a run takes; a smaller batch, length or model needs less");
    }
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_BYTES) /* weights and activations are streamed: fewer pages, fewer faults; a wish only */
        (void)madvise(p, size, MADV_HUGEPAGE);
#endif
    out->data = p;
    out->size = size;
    return FJ_OK;
}

fj_status fj_buffer_open(fj_buffer *out, size_t size, const char *what, fj_err *err)
{
    return take(out, size, 0, what, err);
}

fj_status fj_buffer_reserve(fj_buffer *out, size_t size, const char *what, fj_err *err)
{
    return take(out, size, MAP_NORESERVE, what, err);
}

void fj_buffer_drop(const fj_buffer *buffer, size_t offset, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = (offset + page - 1) / page * page,
           end = (offset + len) / page * page;
    if (end > first)
        (void)madvise(buffer->data + first, end - first, MADV_DONTNEED);
}

void fj_buffer_close(fj_buffer *buffer)
{
    if (buffer->data)
        (void)munmap(buffer->data, buffer->size);
    *buffer = (fj_buffer){ 0 };
}
