/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/role.h"

#include "tests/test.h"

TEST(roles_have_names_of_their_own_and_a_layer_where_gguf_has_one)
{
    for (const fj_role *const *a = fj_roles; *a; a++) {
        CHECK((*a)->in_layer == (strncmp((*a)->gguf, "blk.{}.", 7) == 0));
        CHECK_TEXT(strstr((*a)->gguf, (*a)->name), (*a)->name); /* the GGUF name ends with the short one */
        for (const fj_role *const *b = fj_roles; b < a; b++)
            CHECK(strcmp((*a)->name, (*b)->name) && strcmp((*a)->gguf, (*b)->gguf));
    }
}

TEST(lora_on_all_takes_the_matrices_of_a_layer)
{
    int n = 0;
    for (const fj_role *const *r = fj_roles; *r; r++)
        n += (*r)->in_layer && (*r)->is_linear;
    CHECK(n ==
          19); /* q, k, v, or all three or the last two as one; output; gate, up, down; six of experts; four of Mamba */
    CHECK(fj_role_output.is_linear && !fj_role_output.in_layer && !fj_role_token_embd.is_linear);
}
