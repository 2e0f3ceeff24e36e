/* VolumeShare of ml4t-slippage in C, for measurements. */
#include <stdlib.h>
#include <string.h>

#include "ml4t_abi.h"

struct params {
    double volume_limit;
    double price_impact;
};

static double least(double a, double b) { return a < b ? a : b; }

static int32_t evaluate(void *state, const ml4t_slippage_context *c, ml4t_slippage_output *out) {
    const struct params *p = state;
    if (c->volume != c->volume) {
        return -1;
    }
    double cap = p->volume_limit * c->volume - c->volume_used;
    cap = cap > 0.0 ? cap : 0.0;
    double filled = c->volume_used + least(c->quantity, cap);
    double share = c->volume > 0.0 ? least(filled / c->volume, p->volume_limit) : p->volume_limit;
    double price = c->price < 0.0 ? -c->price : c->price;
    out->adjustment = price * (p->price_impact * (share * share));
    out->spread = 0.0;
    out->quantity_cap = cap;
    return ML4T_STATUS_OK;
}

static void *copied(const void *proto) {
    struct params *copy = malloc(sizeof *copy);
    if (copy) {
        memcpy(copy, proto, sizeof *copy);
    }
    return copy;
}

static void released(ml4t_model_table *table) {
    free(table->proto);
    free(table);
}

ml4t_model_table *volume_share(const double *params, size_t n, char *error, size_t capacity) {
    ml4t_model_table *table = calloc(1, sizeof *table);
    struct params *proto = malloc(sizeof *proto);
    if (n != 2 || !table || !proto) {
        strncpy(error, n != 2 ? "expected volume_limit and price_impact" : "no memory", capacity);
        free(table);
        free(proto);
        return NULL;
    }
    proto->volume_limit = params[0];
    proto->price_impact = params[1];
    table->magic = ML4T_MAGIC;
    table->struct_size = sizeof *table;
    table->abi_major = ML4T_ABI_MAJOR;
    table->abi_minor = ML4T_ABI_MINOR;
    table->kind = ML4T_KIND_SLIPPAGE;
    table->flags = ML4T_FLAG_SEND | ML4T_FLAG_NEEDS_BAR;
    table->context_size = sizeof(ml4t_slippage_context);
    table->output_size = sizeof(ml4t_slippage_output);
    table->name = "VolumeShare";
    table->model_version = "1";
    table->proto = proto;
    table->clone = copied;
    table->drop = free;
    table->eval = (void (*)(void))evaluate;
    table->release = released;
    return table;
}
