/* A fill loses a part of a tick; what is beyond a share of the volume goes on working. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <ml4t_abi.h>

typedef struct {
    double ticks, share;
} model;

static int32_t evaluate(void *state, const ml4t_slippage_context *ctx, ml4t_slippage_output *out) {
    const model *m = state;
    if (isnan(ctx->volume)) return -1;
    out->adjustment = m->ticks * ctx->tick_size;
    out->spread = 0.0;
    out->quantity_cap = fmax(m->share * ctx->volume - ctx->volume_used, 0.0);
    return ML4T_STATUS_OK;
}

static size_t last_error(const void *state, uint8_t *text, size_t capacity) {
    (void)state;
    return (size_t)snprintf((char *)text, capacity, "volume is missing");
}

static void release(ml4t_model_table *table) {
    free(table->proto);
    free(table);
}

ml4t_model_table *tick_share(const double *params, size_t n, char *error, size_t capacity) {
    if (n != 2 || !(params[0] >= 0.0) || !(params[1] > 0.0 && params[1] <= 1.0)) {
        snprintf(error, capacity, "expected ticks of 0 or more and a share above 0 and at most 1");
        return NULL;
    }
    model *proto = malloc(sizeof *proto);
    ml4t_model_table *table = calloc(1, sizeof *table);
    if (proto == NULL || table == NULL) {
        snprintf(error, capacity, "memory is out");
        free(proto);
        free(table);
        return NULL;
    }
    *proto = (model){ .ticks = params[0], .share = params[1] };
    table->magic = ML4T_MAGIC;
    table->struct_size = sizeof *table;
    table->abi_major = ML4T_ABI_MAJOR;
    table->abi_minor = ML4T_ABI_MINOR;
    table->kind = ML4T_KIND_SLIPPAGE;
    table->flags = ML4T_FLAG_STATELESS | ML4T_FLAG_NEEDS_BAR;
    table->context_size = sizeof(ml4t_slippage_context);
    table->output_size = sizeof(ml4t_slippage_output);
    table->name = "TickShare";
    table->model_version = "1";
    table->proto = proto;
    table->eval = (void (*)(void))evaluate;
    table->last_error = last_error;
    table->release = release;
    return table;
}
