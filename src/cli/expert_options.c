/* SPDX-License-Identifier: Apache-2.0
 * Options of mixtures of experts, for the commands that run one. */
#include "cli/commands.h"

#define AT(member) offsetof(fj_expert_settings, member)

const fj_option fj_expert_options[] = {
    { "n-experts-used", "N", FJ_OPT_INT, AT(n_used), "0", "experts that a token takes; 0: as the model's own file says",
      0, 1 << 20, 0 },
    { "experts", "SPEC", FJ_OPT_TEXT, AT(spec), NULL,
      "force or mask experts, LAYERS:EXPERTS[;…]: 3:1,5 lets layer 3 take experts 1 and 5 alone, all:-2 takes expert 2 "
      "from every layer, 0-3,7:4-6 are ranges; a later entry for a layer stands in place of an earlier one",
      0, 0, 0 },
    { 0 },
};

fj_status fj_choose_experts(const fj_expert_settings *s, fj_model *m, fj_err *err)
{
    return fj_model_choose_experts(m, s->n_used, s->spec, err);
}
