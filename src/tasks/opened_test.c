/* SPDX-License-Identifier: Apache-2.0 */
#include "tasks/opened.h"

#include <stdio.h>

#include "tests/test.h"

static void open_both(const char *adapter, fj_opened *out)
{
    fj_err err = { 0 };
    char model[512], folder[512];
    (void)snprintf(model, sizeof model, "%s", test_golden("training/base"));
    (void)snprintf(folder, sizeof folder, "%s", test_golden(adapter));
    CHECK_OK(fj_opened_open(model, folder, FJ_OPEN_WEIGHTS, NULL, out, &err));
}

TEST(an_adapter_as_older_peft_wrote_it_is_the_same_adapter)
{
    fj_opened now, old;
    open_both("training/lora-init", &now);
    open_both("torch/adapter", &old);
    CHECK(now.adapter->n > 0 && now.adapter->n == old.adapter->n);
    for (int i = 0; i < now.adapter->n; i++) {
        const fj_lora *x = &now.adapter->items[i], *y = &old.adapter->items[i];
        int64_t in = x->weight->shape.dim[1], out = x->weight->shape.dim[0];
        CHECK(x->rank == y->rank && !strcmp(x->weight->name, y->weight->name));
        CHECK(!memcmp(x->a, y->a, (size_t)(x->rank * in) * sizeof(float)));
        CHECK(!memcmp(x->b, y->b, (size_t)(x->rank * out) * sizeof(float)));
    }
    fj_opened_close(&now);
    fj_opened_close(&old);
}

TEST(a_folder_without_an_adapter_is_named)
{
    fj_opened o;
    fj_err err = { 0 };
    char model[512];
    (void)snprintf(model, sizeof model, "%s", test_golden("training/base"));
    CHECK(fj_opened_open(model, model, FJ_OPEN_WEIGHTS, NULL, &o, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "training/base: no adapter_config.json with adapter_model.safetensors"));
}
