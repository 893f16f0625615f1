/* SPDX-License-Identifier: Apache-2.0
 * The mixer of Mamba.  Source: transformers, modeling_mamba.py and modeling_jamba.py, slow_forward.
 *   [u; z] = in x;  u = silu(conv(u));  [dt; B; C] = x_proj u  (Jamba norms each of the three)
 *   y = scan(softplus(dt_proj dt), u, A, B, C, D);  out = out_proj (y * silu(z)) */
#include "models/build.h"

/* RMS norms of dt, B and C where the model has them. */
static void norm_parts(fj_build *b, fj_value *p[3], int layer)
{
    static const fj_role *const roles[] = { &fj_role_ssm_dt_norm, &fj_role_ssm_b_norm, &fj_role_ssm_c_norm };
    for (int i = 0; i < 3; i++)
        if (fj_model_weight(b->m, roles[i], layer, false))
            p[i] = fj_rms_norm(b->g, p[i], fj_build_need(b, roles[i], layer), b->m->hp.norm_eps, 0);
}

fj_value *fj_block_mamba(fj_build *b, fj_value *x, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    int64_t inner = hp->d_inner, n = hp->d_state, r = hp->d_dt;
    const int64_t halves[] = { 0, inner }, half[] = { inner, inner }, offsets[] = { 0, r, r + n },
                  widths[] = { r, n, n };
    fj_state state = { b->slots, b->states, fj_model_state_shape(b->m), fj_model_state_layer(b->m, layer) };
    fj_value *uz[2], *p[3];
    fj_split(b->g, fj_block_product(b, x, &fj_role_ssm_in, layer), 1, 2 * inner, 2, halves, half, uz);
    fj_value *w = fj_build_need(b, &fj_role_ssm_conv1d, layer), *bias = fj_build_bias(b, &fj_role_ssm_conv1d, layer);
    fj_value *u = b->is_cached ? fj_conv1d_cached(b->g, uz[0], w, bias, b->tiles, &state)
                               : fj_conv1d(b->g, uz[0], w, bias, b->tiles);
    u = fj_activate(b->g, u, hp->act);
    fj_split(b->g, fj_block_product(b, u, &fj_role_ssm_x, layer), 1, r + 2 * n, 3, offsets, widths, p);
    norm_parts(b, p, layer);
    fj_scan scan = { .dt = fj_activate(b->g, fj_block_product(b, p[0], &fj_role_ssm_dt, layer), &fj_act_softplus),
                     .u = u,
                     .b = p[1],
                     .c = p[2],
                     .a = fj_build_need(b, &fj_role_ssm_a, layer),
                     .d = fj_build_need(b, &fj_role_ssm_d, layer),
                     .a_is_log = b->m->naming == FJ_NAMING_HF };
    fj_value *y = b->is_cached ? fj_selective_scan_cached(b->g, &scan, b->tiles, &state)
                               : fj_selective_scan(b->g, &scan, b->tiles);
    return fj_block_product(b, fj_gated(b->g, uz[1], y, hp->act), &fj_role_ssm_out, layer);
}
