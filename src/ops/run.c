/* SPDX-License-Identifier: Apache-2.0
 * The executor: walks the nodes and deals their parts to the pool. */
#include "ops/graph.h"

typedef struct job {
    const fj_run *run;
    const fj_node *node;
    const fj_work *work;
    int phase;
} job;

static void do_part(void *context, int64_t part, int worker)
{
    const job *j = context;
    j->work->part(j->run, j->node, j->phase, part, worker);
}

static void run_node(fj_run *run, const fj_node *node)
{
    job j = { .run = run,
              .node = node,
              .work = node->rule < 0 ? &node->op->forward : &node->op->backward[node->rule].work };
    int phases = j.work->phases ? j.work->phases(run, node) : 1;
    for (j.phase = 0; j.phase < phases; j.phase++) {
        int64_t parts = j.work->parts ? j.work->parts(run, node, j.phase) : 1;
        fj_pool_run(run->pool, do_part, &j, parts);
    }
}

fj_status fj_graph_run(fj_graph *g, fj_run *run, int first, int end, fj_err *err)
{
    for (int i = first; i < end; i++) {
        if (run->cancel && __atomic_load_n(run->cancel, __ATOMIC_RELAXED))
            return fj_fail(err, FJ_ERR_CANCELLED, "interrupted");
        for (const fj_watch *w = run->watch; w; w = w->next)
            w->before(w->context, run, g->nodes, i, end);
        run_node(run, g->nodes[i]);
        for (const fj_watch *w = run->watch; w; w = w->next)
            if (w->after)
                w->after(w->context, g->nodes[i]);
    }
    return FJ_OK;
}
