/* SPDX-License-Identifier: Apache-2.0
 * See stream.h. Reading ahead fills the page cache, not this process: pages count as resident once they are touched. What the router has
 * chosen is known before the experts are wanted, so an idle expert is not read at all. */
#include "models/stream.h"

#include "models/fill.h"

enum { MOST_AHEAD = 64 };                /* nodes: some layers */
static const size_t window = 192u << 20; /* bytes asked for and not used yet, behind the node that runs */

static bool is_streamed(const fj_stream *s, const fj_value *v)
{
    return v && v->weight && s->m->is_streamed[v->weight - s->m->weights];
}

/* One matrix of a weight as a tensor of the file, or as a piece of one. */
static const fj_tensor *matrix_of(const fj_weight *w, int64_t e, fj_tensor *piece)
{
    int64_t n = w->shape.rank == 3 ? w->shape.dim[0] : 1;
    if (w->parts || n == 1)
        return w->parts ? w->parts[e] : w->stored;
    *piece = *w->stored;
    piece->bytes /= (size_t)n;
    piece->data = (const unsigned char *)piece->data + (size_t)e * piece->bytes;
    return piece;
}

/* Calls tell for what the node reads of streamed weights (NULL: nothing is told); the bytes of it. */
static size_t each_piece(const fj_stream *s, const fj_node *node, void (*tell)(const fj_source *, const fj_tensor *))
{
    size_t bytes = 0;
    for (int k = 0; k < node->n_in; k++) {
        if (!is_streamed(s, node->in[k]))
            continue;
        const fj_weight *w = node->in[k]->weight;
        for (int64_t e = 0; e < (w->shape.rank == 3 ? w->shape.dim[0] : 1); e++) {
            if (node->op->reads && !node->op->reads(node, e))
                continue;
            fj_tensor piece;
            const fj_tensor *t = matrix_of(fj_weight_source(s->m, w), e, &piece);
            bytes += t->bytes;
            if (tell)
                tell(s->m->source, t);
        }
    }
    return bytes;
}

/* What the node reads of weights that the source makes. */
static void make(const fj_stream *s, const fj_run *run, const fj_node *node)
{
    for (int k = 0; k < node->n_in; k++) {
        const fj_weight *w = is_streamed(s, node->in[k]) ? node->in[k]->weight : NULL;
        for (int64_t e = 0; w && e < (w->shape.rank == 3 ? w->shape.dim[0] : 1); e++)
            if (!node->op->reads || node->op->reads(node, e))
                fj_model_make(s->m, w, e, run->pool);
    }
}

/* Whether what node j reads is known before node i has run: what its choice depends on is not made between the two. */
static bool is_known(fj_node *const *nodes, int i, int j)
{
    const fj_node *n = nodes[j];
    for (int b = i; n->op->reads && b < j; b++)
        for (int o = 0; o < nodes[b]->n_out; o++)
            for (int k = 0; k < n->n_in; k++)
                if (nodes[b]->out[o] == n->in[k] && n->in[k]->dtype == &fj_i32)
                    return false;
    return true;
}

static void before(void *context, const fj_run *run, fj_node *const *nodes, int i, int end)
{
    fj_stream *s = context;
    size_t asked = 0;
    for (int j = i; j < FJ_MIN(end, i + MOST_AHEAD) && is_known(nodes, i, j); j++) {
        size_t bytes = each_piece(s, nodes[j], NULL);
        if (j > i && asked + bytes > window)
            break;
        asked += j > i ? bytes : 0;
        if (j >= s->ahead) {
            (void)each_piece(s, nodes[j], s->m->source->will_need);
            s->ahead = j + 1;
        }
    }
    make(s, run, nodes[i]);
}

static void after(void *context, const fj_node *node)
{
    const fj_stream *s = context;
    for (int k = 0; k < node->n_in; k++)
        if (is_streamed(s, node->in[k]))
            fj_model_give_back(s->m, node->in[k]->weight);
}

void fj_stream_start(fj_stream *s, const fj_model *m)
{
    *s = (fj_stream){ .m = m, .watch = { before, after, s, NULL } };
}

void fj_stream_begin(fj_stream *s)
{
    s->ahead = 0;
}

void fj_stream_end(const fj_stream *s)
{
    for (int i = 0; i < s->m->n_weights; i++)
        if (s->m->weights[i].shape.rank > 1)
            fj_model_give_back(s->m, &s->m->weights[i]);
}
