/* ml4t native models, interface 1.0; generated from abi.toml by generate.py; do not edit.
 *
 * One file is a model: define its functions, fill a static ml4t_model_table, export a function
 * that returns it. Compile with -ffp-contract=off, so that results equal those of the other
 * languages bit for bit.
 */
#ifndef ML4T_ABI_H
#define ML4T_ABI_H

#include <stddef.h>
#include <stdint.h>

#define ML4T_MAGIC UINT64_C(0x314C444D54344C4D)
#define ML4T_ABI_MAJOR 1
#define ML4T_ABI_MINOR 0

/* What `eval` answers. 0 is never success: a numba function that raised returns 0 to its caller. */
enum {
    /* The model raised, or wrote nothing. Negative values are errors of its own, too. */
    ML4T_STATUS_ERROR = 0,
    /* The output holds the answer. */
    ML4T_STATUS_OK = 1,
    /* The model has nothing to say about this call; the engine goes on without it. */
    ML4T_STATUS_NO_OPINION = 2,
    /* The order is refused; the reason stands in the output's `code`. */
    ML4T_STATUS_REJECT = 3,
    /* Nothing now; ask again at the next event. */
    ML4T_STATUS_DEFER = 4,
};

/* What a model decides; the number in its table, and the one that `__ml4t_model_v1__` is called with. */
enum {
    /* Whether, where and how much of an order trades. */
    ML4T_KIND_FILL = 1,
    /* How much worse than its reference price any small order trades. */
    ML4T_KIND_SLIPPAGE = 2,
    /* How far our own size moves the price. */
    ML4T_KIND_IMPACT = 3,
    /* What a fill is charged. */
    ML4T_KIND_FEE = 4,
    /* What a portfolio has to keep aside. */
    ML4T_KIND_MARGIN = 5,
    /* What a short position costs. */
    ML4T_KIND_BORROW = 6,
    /* What a perpetual future pays. */
    ML4T_KIND_FUNDING = 7,
    /* How long a message is under way. */
    ML4T_KIND_LATENCY = 8,
    /* At which rate money is converted. */
    ML4T_KIND_FX = 9,
    /* When money of a fill is there. */
    ML4T_KIND_SETTLEMENT = 10,
    /* What is sold when the margin is gone. */
    ML4T_KIND_LIQUIDATION = 11,
    /* What is ordered when a limit is passed. */
    ML4T_KIND_RISK = 12,
    /* How an order is cut into others. */
    ML4T_KIND_EXECUTOR = 13,
    /* What is ordered. */
    ML4T_KIND_STRATEGY = 100,
    /* Numbers from a column. */
    ML4T_KIND_INDICATOR = 101,
    /* What cash earns and debt costs. */
    ML4T_KIND_INTEREST = 14,
};

/* Bits of a table's `flags`. */
enum {
    /* `proto` alone answers; `clone` may be missing. */
    ML4T_FLAG_STATELESS = 1,
    /* A state may move to another thread between calls. */
    ML4T_FLAG_SEND = 2,
    /* One state may be evaluated by several threads at once. */
    ML4T_FLAG_CONCURRENT = 4,
    /* The same context has the same answer. */
    ML4T_FLAG_PURE = 8,
    /* The answer uses volume, range or close of the bar: a fill at its open waits for it. */
    ML4T_FLAG_NEEDS_BAR = 16,
    /* `observe` wants every fill of the run. */
    ML4T_FLAG_NEEDS_OBSERVE = 32,
};

/* Bits of a context's `flags`: what is NaN because nobody knows it. */
enum {
    /* High, low and close of the bar. */
    ML4T_MISSING_BAR = 1,
    /* The volume. */
    ML4T_MISSING_VOLUME = 2,
    /* Bid and ask. */
    ML4T_MISSING_QUOTE = 4,
    /* The average volume. */
    ML4T_MISSING_AVERAGE_VOLUME = 8,
    /* The volatility. */
    ML4T_MISSING_VOLATILITY = 16,
};

/* The part of a bar, or the kind of event, at which an order meets the market. */
enum {
    /* Open of a session or bar. */
    ML4T_PHASE_OPEN = 1,
    /* Between open and close of a bar. */
    ML4T_PHASE_RANGE = 2,
    /* Close of a bar. */
    ML4T_PHASE_CLOSE = 3,
    /* A quote. */
    ML4T_PHASE_QUOTE = 4,
    /* A trade print. */
    ML4T_PHASE_TRADE = 5,
};

/* How an order acts at an event: a triggered stop acts as a market order, a triggered stop-limit as a limit.
 * */
enum {
    /* Takes the price the market offers. */
    ML4T_ORDER_KIND_MARKET = 1,
    /* Bound by its limit price. */
    ML4T_ORDER_KIND_LIMIT = 2,
};

/* Whether a fill took or provided liquidity. */
enum {
    /* The order crossed the market. */
    ML4T_LIQUIDITY_TAKER = 1,
    /* The order rested and was met. */
    ML4T_LIQUIDITY_MAKER = 2,
};

/* What is under way to the venue. */
enum {
    /* A new order. */
    ML4T_MESSAGE_SUBMIT = 1,
    /* A change. */
    ML4T_MESSAGE_MODIFY = 2,
    /* A cancel. */
    ML4T_MESSAGE_CANCEL = 3,
};

/* What an order record asks for. */
enum {
    /* A new order. */
    ML4T_ACTION_NEW = 1,
    /* A change of the order `client_id`: what is NaN stays. */
    ML4T_ACTION_MODIFY = 2,
    /* The end of the order `client_id`. */
    ML4T_ACTION_CANCEL = 3,
    /* A market order that leads to the signed position `quantity`. */
    ML4T_ACTION_TARGET = 4,
};

/* How an order is priced and triggered. */
enum {
    /* At the price that the market offers. */
    ML4T_ORDER_TYPE_MARKET = 1,
    /* At the limit price or better. */
    ML4T_ORDER_TYPE_LIMIT = 2,
    /* A market order once the stop price trades. */
    ML4T_ORDER_TYPE_STOP = 3,
    /* A limit order once the stop price trades. */
    ML4T_ORDER_TYPE_STOP_LIMIT = 4,
    /* A market order once the trigger is touched from the better side. */
    ML4T_ORDER_TYPE_MARKET_IF_TOUCHED = 5,
    /* A limit order once the trigger is touched from the better side. */
    ML4T_ORDER_TYPE_LIMIT_IF_TOUCHED = 6,
};

/* How long an order works. */
enum {
    /* Until canceled. */
    ML4T_LIFE_GTC = 0,
    /* To the close of its session. */
    ML4T_LIFE_DAY = 1,
    /* For one event. */
    ML4T_LIFE_IOC = 2,
    /* For one event, all or nothing. */
    ML4T_LIFE_FOK = 3,
    /* For the open of a session. */
    ML4T_LIFE_OPG = 4,
    /* For the close of a session. */
    ML4T_LIFE_CLS = 5,
};

/* The first 24 bytes of every context. */
typedef struct ml4t_header {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
} ml4t_header;

/* What a fill model sees: an order that the matching rules allow to execute at `price`. */
typedef struct ml4t_fill_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* How the order acts now. */
    uint32_t kind;
    /* Where in the bar, or at which event. */
    uint32_t phase;
    /* Liquidity the rules would report. */
    uint32_t liquidity;
    /* Zero. */
    uint32_t reserved;
    /* Number of the order, from 1. */
    uint64_t order;
    /* Price at which the matching rules allow execution. */
    double price;
    /* Open quantity of the order, positive. */
    double leaves_quantity;
    /* Limit price, NaN without one. */
    double limit_price;
    /* Stop price, NaN without one. */
    double stop_price;
    /* Open of the bar. */
    double open;
    /* High of the bar; NaN at the open unless the model declares NEEDS_BAR. */
    double high;
    /* Low of the bar, as `high`. */
    double low;
    /* Close of the bar, as `high`; the price of a print. */
    double close;
    /* Volume of the bar, as `high`. */
    double volume;
    /* Best bid. */
    double bid;
    /* Best ask. */
    double ask;
    /* Size at the bid. */
    double bid_size;
    /* Size at the ask. */
    double ask_size;
    /* Size of the trade print. */
    double trade_size;
    /* Quantity that earlier orders took from this bar or event. */
    double volume_used;
    /* Smallest quantity step. */
    double lot_size;
    /* Smallest price step. */
    double tick_size;
    /* Uniform draws in [0, 1), as many as the table's `n_random`. */
    double random[4];
    /* Mean volume of the last `average_days` sessions before this one, 0 where there is none; NaN unless
     * asked for, and where a volume of them is missing. */
    double average_volume;
    /* Quantity that orders took in this session, where the model asks for the average. */
    double session_used;
    /* Quantity that trades before a resting order; NaN where nobody counts it. */
    double queue_ahead;
} ml4t_fill_context;

/* A part of an order that trades at one price. */
typedef struct ml4t_fill_slice {
    /* Execution price before slippage. */
    double price;
    /* Quantity, positive. */
    double quantity;
    /* Maker or taker. */
    uint32_t liquidity;
    /* Zero. */
    uint32_t reserved;
} ml4t_fill_slice;

/* What a fill model decides beside its slices. */
typedef struct ml4t_fill_output {
    /* How many slices were written; all of them together at most the leaves quantity. */
    uint32_t n_fills;
    /* Zero. */
    uint32_t reserved;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_fill_output;

/* One level of an order book. */
typedef struct ml4t_level {
    /* Price of the level's bid. */
    double bid;
    /* Size there. */
    double bid_size;
    /* Price of the level's ask. */
    double ask;
    /* Size there. */
    double ask_size;
} ml4t_level;

/* What a slippage model sees: a fill about to happen at `price`. */
typedef struct ml4t_slippage_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Where in the bar, or at which event. */
    uint32_t phase;
    /* Zero. */
    uint32_t reserved;
    /* Reference price of the fill. */
    double price;
    /* Quantity of the fill, positive. */
    double quantity;
    /* Open of the bar. */
    double open;
    /* High of the bar; NaN at the open unless the model declares NEEDS_BAR. */
    double high;
    /* Low of the bar, as `high`. */
    double low;
    /* Close of the bar, as `high`. */
    double close;
    /* Volume of the bar, as `high`; size of the quote's far side, or of the print. */
    double volume;
    /* Best bid. */
    double bid;
    /* Best ask. */
    double ask;
    /* Quantity that earlier orders took from this bar or event. */
    double volume_used;
    /* Smallest price step. */
    double tick_size;
    /* Smallest quantity step. */
    double lot_size;
    /* Contract multiplier. */
    double multiplier;
    /* Uniform draws in [0, 1), as many as the table's `n_random`. */
    double random[4];
    /* Mean volume of the last `average_days` sessions before this one; NaN unless asked for, where a volume
     * is missing and before the first session. */
    double average_volume;
    /* Standard deviation of the daily returns of as many sessions, a fraction per day; NaN unless asked for,
     * and with fewer than two returns. */
    double volatility;
} ml4t_slippage_context;

/* What a slippage model answers; positive numbers hurt the order. */
typedef struct ml4t_slippage_output {
    /* Slippage per unit. */
    double adjustment;
    /* Half spread paid per unit, reported apart. */
    double spread;
    /* Most that may fill at this event; infinity without a cap. */
    double quantity_cap;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_slippage_output;

/* What an impact model sees: a fill of `quantity` about to happen at `price`, before any impact. */
typedef struct ml4t_impact_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Where in the bar, or at which event. */
    uint32_t phase;
    /* Zero. */
    uint32_t reserved;
    /* Reference price of the fill. */
    double price;
    /* Quantity of the fill, positive. */
    double quantity;
    /* Quantity of the whole order. */
    double order_quantity;
    /* Quantity of the order filled before this fill. */
    double order_filled_quantity;
    /* Open of the bar. */
    double open;
    /* High of the bar; NaN at the open unless the model declares NEEDS_BAR. */
    double high;
    /* Low of the bar, as `high`. */
    double low;
    /* Close of the bar, as `high`. */
    double close;
    /* Volume of the bar, as `high`; size of the quote's far side, or of the print. */
    double volume;
    /* Best bid. */
    double bid;
    /* Best ask. */
    double ask;
    /* Quantity that earlier orders took from this bar or event. */
    double volume_used;
    /* Mean volume of the last `average_days` sessions before this one; NaN unless asked for, where a volume
     * is missing and before the first session. */
    double average_volume;
    /* Standard deviation of the daily returns of as many sessions, a fraction per day; NaN unless asked for,
     * and with fewer than two returns. */
    double volatility;
    /* Permanent impact of our fills so far that stands in this instrument, in price units, positive when it
     * is up. */
    double displacement;
    /* Smallest price step. */
    double tick_size;
    /* Smallest quantity step. */
    double lot_size;
    /* Contract multiplier. */
    double multiplier;
    /* Uniform draws in [0, 1), as many as the table's `n_random`. */
    double random[4];
} ml4t_impact_context;

/* What an impact model answers, per unit and positive when it hurts the order. */
typedef struct ml4t_impact_output {
    /* Paid by this fill and gone after it. */
    double temporary;
    /* How far this fill moves the prices of our later fills. */
    double permanent;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_impact_output;

/* What a fee model sees: a fill at its final price. */
typedef struct ml4t_fee_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Maker or taker. */
    uint32_t liquidity;
    /* Zero. */
    uint32_t reserved;
    /* Fill price. */
    double price;
    /* Fill quantity, positive. */
    double quantity;
    /* Contract multiplier. */
    double multiplier;
    /* `abs(price) x quantity x multiplier`. */
    double notional;
    /* Quantity of the order filled before this fill. */
    double order_filled_quantity;
    /* Notional of the order filled before this fill. */
    double order_notional;
    /* Fees charged to the order before this fill. */
    double order_fees;
    /* Quantity that the account traded in this calendar month (UTC) before this fill, all instruments. */
    double month_quantity;
    /* Notional that the account traded in this calendar month (UTC) before this fill, all instruments, in the
     * base currency. */
    double month_notional;
} ml4t_fee_context;

/* What a fee model answers. */
typedef struct ml4t_fee_output {
    /* Money in the instrument's currency; negative for a rebate. */
    double fee;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_fee_output;

/* A fill that was booked, for `observe`. */
typedef struct ml4t_fill_event {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Number of the order, from 1. */
    uint64_t order;
    /* Fill price. */
    double price;
    /* Quantity, positive. */
    double quantity;
    /* Contract multiplier. */
    double multiplier;
    /* Fee. */
    double fee;
    /* Slippage per unit. */
    double slippage;
    /* Impact per unit. */
    double impact;
    /* Maker or taker. */
    uint32_t liquidity;
    /* Zero. */
    uint32_t reserved;
} ml4t_fill_event;

/* A quote or print, for `on_market` of a fill model. */
typedef struct ml4t_market_event {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Quote or trade. */
    uint32_t phase;
    /* Zero. */
    uint32_t reserved;
    /* Best bid. */
    double bid;
    /* Best ask. */
    double ask;
    /* Size at the bid. */
    double bid_size;
    /* Size at the ask. */
    double ask_size;
    /* Price of the print. */
    double trade_price;
    /* Size of the print. */
    double trade_size;
    /* Number of the order in the run. */
    uint64_t order;
    /* Its limit. */
    double limit_price;
    /* Still to fill. */
    double leaves_quantity;
} ml4t_market_event;

/* A position as models of a whole portfolio see it. */
typedef struct ml4t_holding {
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* Zero. */
    uint32_t reserved;
    /* Signed. */
    double quantity;
    /* Price at which it is valued. */
    double mark;
    /* Contract multiplier. */
    double multiplier;
    /* Base currency for one unit of the instrument's currency. */
    double fx;
    /* Of the margin rates in force; NaN without one. */
    double initial_rate;
    /* Likewise. */
    double maintenance_rate;
    /* Smallest quantity that is traded. */
    double lot_size;
    /* What the position has gained, in the base currency; of liquidation models alone, else NaN. */
    double unrealized;
    /* What is needed to hold it, in the base currency; likewise. */
    double requirement;
} ml4t_holding;

/* What a margin model sees beside the positions. */
typedef struct ml4t_margin_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Cash in the base currency. */
    double cash;
    /* Equity in the base currency. */
    double equity;
} ml4t_margin_context;

/* What a margin model answers for the whole portfolio, in the base currency; the maintenance of each position
 * is an array beside it. */
typedef struct ml4t_margin_output {
    /* Needed to open. */
    double initial;
    /* Needed to hold. */
    double maintenance;
    /* Reason of a refusal. */
    uint64_t code;
    /* Needed at the close of a session; NaN where nothing is tested then. */
    double overnight;
} ml4t_margin_output;

/* What a liquidation model sees beside the positions. */
typedef struct ml4t_liquidation_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Cash in the base currency. */
    double cash;
    /* Equity in the base currency. */
    double equity;
    /* What equity lacks of what is needed. */
    double deficit;
} ml4t_liquidation_context;

/* What a liquidation model answers beside the quantities to close. */
typedef struct ml4t_liquidation_output {
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_liquidation_output;

/* What a borrow model sees: a short position that was held over some days. */
typedef struct ml4t_borrow_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Settlement price. */
    double price;
    /* Size of the short position, positive. */
    double quantity;
    /* Contract multiplier. */
    double multiplier;
    /* Calendar days. */
    double days;
    /* Borrow rate of the data, a fraction per year; NaN without one. */
    double rate_annual;
} ml4t_borrow_context;

/* What a borrow model answers. */
typedef struct ml4t_borrow_output {
    /* Money in the instrument's currency, positive when it is paid. */
    double fee;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_borrow_output;

/* What a funding model sees: a position at a funding instant. */
typedef struct ml4t_funding_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Mark price. */
    double mark;
    /* Signed position. */
    double quantity;
    /* Contract multiplier. */
    double multiplier;
    /* Funding rate of the data, a fraction per interval. */
    double rate;
} ml4t_funding_context;

/* What a funding model answers. */
typedef struct ml4t_funding_output {
    /* Cash that the account gets; negative when it pays. */
    double payment;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_funding_output;

/* What an interest model sees: the cash of an account over some days. */
typedef struct ml4t_interest_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Balance at the begin of the days, negative where it is owed; proceeds of short sales are in it. */
    double cash;
    /* Size of all short positions then, at their marks. */
    double short_value;
    /* Calendar days. */
    double days;
} ml4t_interest_context;

/* What an interest model answers. */
typedef struct ml4t_interest_output {
    /* Cash that the account gets; negative when it pays. */
    double payment;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_interest_output;

/* What a latency model sees: a message that leaves. */
typedef struct ml4t_latency_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* What it asks for. */
    uint32_t message;
    /* Index of the venue in the run. */
    uint32_t venue;
    /* Uniform draws in [0, 1), as many as the table's `n_random`. */
    double random[4];
} ml4t_latency_context;

/* What a latency model answers. */
typedef struct ml4t_latency_output {
    /* Delay in ns, 0 or more. */
    double delay_ns;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_latency_output;

/* What an fx model sees: money to convert. */
typedef struct ml4t_fx_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Signed amount of the foreign currency. */
    double amount;
    /* Middle rate of the data: base currency for one unit of the foreign one. */
    double rate;
} ml4t_fx_context;

/* What an fx model answers. */
typedef struct ml4t_fx_output {
    /* Rate of the conversion. */
    double rate;
    /* Fee in the base currency. */
    double fee;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_fx_output;

/* What a settlement model sees: money of a fill. */
typedef struct ml4t_settlement_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Signed amount. */
    double amount;
    /* Session of the fill, days since 1970-01-01. */
    int64_t session;
} ml4t_settlement_context;

/* What a settlement model answers. */
typedef struct ml4t_settlement_output {
    /* After how many sessions the money is there, a whole number of 0 or more. */
    double sessions;
    /* Reason of a refusal. */
    uint64_t code;
} ml4t_settlement_output;

/* What a strategy, risk, liquidation or executor kernel asks for. */
typedef struct ml4t_order_record {
    /* New, modify, cancel or target. */
    uint32_t action;
    /* Index of the instrument. */
    uint32_t asset;
    /* Of a new order. */
    uint32_t order_type;
    /* Of a new order. */
    uint32_t life;
    /* The kernel's own number of the order, above 0, by which it changes and cancels it; 0 for none. */
    uint64_t client_id;
    /* Orders of one number above 0 cancel each other: the first that fills ends the rest. */
    uint64_t group;
    /* `client_id` of the order whose fill this one waits for; 0 for none. */
    uint64_t parent;
    /* Signed: positive buys. Of a target the position. */
    double quantity;
    /* NaN without one. */
    double limit_price;
    /* NaN without one. */
    double stop_price;
} ml4t_order_record;

/* An order at work, as kernels see it. */
typedef struct ml4t_open_order {
    /* Index of the instrument. */
    uint32_t asset;
    /* Its type. */
    uint32_t order_type;
    /* The kernel's own number, 0 where it gave none. */
    uint64_t client_id;
    /* Signed: positive buys. */
    double leaves_quantity;
    /* NaN without one. */
    double limit_price;
    /* NaN without one. */
    double stop_price;
} ml4t_open_order;

/* What a strategy kernel sees at an instant beside the arrays. */
typedef struct ml4t_strategy_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Instruments of the run. */
    uint32_t n_assets;
    /* Columns of the matrix, in the sequence in which the kernel asked for them. */
    uint32_t n_columns;
    /* Instruments with a new row at this instant. */
    uint32_t n_changed;
    /* Orders at work. */
    uint32_t n_open_orders;
    /* Fills since the last call. */
    uint32_t n_fills;
    /* 1 at the close of a session, else 0. */
    uint32_t session_closed;
    /* Cash. */
    double cash;
    /* Equity at the last marks. */
    double equity;
    /* Number of the call in this run, from 0. */
    uint64_t instant;
} ml4t_strategy_context;

/* What an execution algorithm sees: one order that it works, and its market. `header.side` and `header.asset`
 * are those of the order. */
typedef struct ml4t_executor_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Instant at which the order was given, ns UTC. */
    int64_t begin_ns;
    /* Number of the call for this order, from 0. */
    uint64_t call;
    /* Orders at work. */
    uint32_t n_open_orders;
    /* Zero. */
    uint32_t reserved;
    /* Time since it was given, in sessions of the instrument's calendar: 0.5 is half of a session, and what
     * lies between sessions does not count. */
    double elapsed;
    /* The whole order, positive. */
    double quantity;
    /* What has traded of it. */
    double filled;
    /* What its orders at work still have to trade. */
    double working;
    /* Average price of its fills; NaN before the first. */
    double average_price;
    /* Last price that is known: close of a bar, print, or middle of a quote. */
    double price;
    /* Best bid of the last quote. */
    double bid;
    /* Best ask. */
    double ask;
    /* Size at the bid. */
    double bid_size;
    /* Size at the ask. */
    double ask_size;
    /* Volume of the market since the call before. */
    double volume;
    /* Volume of the market since the order was given. */
    double total_volume;
    /* Mean volume of the sessions before the present one, over `average_days`. */
    double average_volume;
    /* Standard deviation of their daily returns, a fraction per day. */
    double volatility;
    /* Smallest step of a quantity. */
    double lot_size;
    /* Smallest step of a price. */
    double tick_size;
    /* Contract multiplier. */
    double multiplier;
    /* Uniform draws in [0, 1), as many as the table's `n_random`. */
    double random[4];
} ml4t_executor_context;

/* What an indicator sees beside its column: `header.asset` is the instrument. */
typedef struct ml4t_indicator_context {
    /* Size of the whole context as the engine was compiled. */
    uint32_t size;
    /* Minor version of the context. */
    uint16_t version;
    /* +1 buys, -1 sells, 0 where there is no side. */
    int8_t side;
    /* Zero. */
    uint8_t pad;
    /* Index of the instrument in the run. */
    uint32_t asset;
    /* What is missing: bits of `Missing`. */
    uint32_t flags;
    /* Instant at which the fill is booked, ns UTC. */
    int64_t ts_ns;
    /* Rows of the column, oldest first. */
    uint64_t n_rows;
} ml4t_indicator_context;

struct ml4t_model_table;

typedef int32_t (*ml4t_eval_slippage)(void *state, const ml4t_slippage_context *context, ml4t_slippage_output *output);
typedef int32_t (*ml4t_eval_impact)(void *state, const ml4t_impact_context *context, ml4t_impact_output *output);
typedef int32_t (*ml4t_eval_fee)(void *state, const ml4t_fee_context *context, ml4t_fee_output *output);
typedef int32_t (*ml4t_eval_borrow)(void *state, const ml4t_borrow_context *context, ml4t_borrow_output *output);
typedef int32_t (*ml4t_eval_funding)(void *state, const ml4t_funding_context *context, ml4t_funding_output *output);
typedef int32_t (*ml4t_eval_latency)(void *state, const ml4t_latency_context *context, ml4t_latency_output *output);
typedef int32_t (*ml4t_eval_fx)(void *state, const ml4t_fx_context *context, ml4t_fx_output *output);
typedef int32_t (*ml4t_eval_settlement)(void *state, const ml4t_settlement_context *context, ml4t_settlement_output *output);
typedef int32_t (*ml4t_eval_interest)(void *state, const ml4t_interest_context *context, ml4t_interest_output *output);
typedef int32_t (*ml4t_eval_fill)(void *state, const ml4t_fill_context *context, void *order_state, const ml4t_level *levels, uint32_t n_levels, ml4t_fill_slice *fills, uint32_t capacity, ml4t_fill_output *output);
typedef int32_t (*ml4t_eval_margin)(void *state, const ml4t_margin_context *context, const ml4t_holding *holdings, uint32_t n, double *requirement, ml4t_margin_output *output);
typedef int32_t (*ml4t_eval_liquidation)(void *state, const ml4t_liquidation_context *context, const ml4t_holding *holdings, uint32_t n, double *close, ml4t_liquidation_output *output);
typedef int32_t (*ml4t_eval_strategy)(void *state, const ml4t_strategy_context *context, const uint32_t *changed, const double *columns, const double *positions, const ml4t_open_order *open_orders, const ml4t_fill_event *fills, ml4t_order_record *orders, uint32_t capacity, uint32_t *n_orders);
typedef int32_t (*ml4t_eval_executor)(void *state, const ml4t_executor_context *context, const ml4t_open_order *open_orders, ml4t_order_record *orders, uint32_t capacity, uint32_t *n_orders);
typedef int32_t (*ml4t_eval_indicator)(void *state, const ml4t_indicator_context *context, const double *values, double *output);

/* A native model: what it is, and its functions. */
typedef struct ml4t_model_table {
    /* The bytes `ML4TMDL1`. */
    uint64_t magic;
    /* Size of the table as its producer was compiled; what is beyond it counts as null or 0. */
    uint32_t struct_size;
    /* Must be the engine's. */
    uint16_t abi_major;
    /* May be any. */
    uint16_t abi_minor;
    /* What the model decides. */
    uint32_t kind;
    /* Bits of `Flag`. */
    uint32_t flags;
    /* Size of the context as the producer was compiled; at most the engine's. */
    uint32_t context_size;
    /* Size of the output, likewise; 0 for kinds without one. */
    uint32_t output_size;
    /* Uniform draws wanted for a call, at most 4. */
    uint32_t n_random;
    /* Bytes that the engine keeps for every order of a fill model, at most 256. */
    uint32_t order_state_size;
    /* Name of the model, UTF-8 with a final zero. */
    const char *name;
    /* Version of the model, likewise. */
    const char *model_version;
    /* The configured state that runs are cloned from. */
    void *proto;
    /* A new, independent state; null means that memory is out. May be missing for a STATELESS model. */
    void *(*clone)(const void *proto);
    /* At the start of every run, with the seed of the run. Optional. */
    int32_t (*reset)(void *state, uint64_t seed);
    /* Frees a state of `clone`; has to accept null. */
    void (*drop)(void *state);
    /* The call itself, with the arguments of the kind. */
    void (*eval)(void);
    /* After every fill of the run, whoever made it; only with NEEDS_OBSERVE. Optional. */
    int32_t (*observe)(void *state, const ml4t_fill_event *fill);
    /* Writes UTF-8 text of the last error and returns its length; called after an error only. Optional. */
    size_t (*last_error)(const void *state, uint8_t *text, size_t capacity);
    /* Writes the state and returns its size, also when the room does not suffice; the largest number is an
     * error. Optional. */
    size_t (*save)(const void *state, uint8_t *bytes, size_t capacity);
    /* Takes over what `save` wrote, in a state of equal parameters. Optional. */
    int32_t (*load)(void *state, const uint8_t *bytes, size_t size);
    /* Frees the table and its `proto`; called once, by whoever owns the table. Optional. */
    void (*release)(struct ml4t_model_table *table);
    /* Of a fill model: a quote or print that an order at work was active for, after it was matched. Optional.
     * */
    int32_t (*on_market)(void *state, void *order_state, const ml4t_market_event *event);
    /* Sessions over which `average_volume` and `volatility` go; 0 where the model needs neither. */
    uint32_t average_days;
    /* Columns that a strategy kernel wants. */
    uint32_t n_columns;
    /* Their names, separated by commas: fields of the feeds, signals and features. */
    const char *columns;
} ml4t_model_table;

/* exp, log and pow of the engine, with the same bits on every platform. A library that defines
 * ml4t_set_math gets them once, before its first table is made; it keeps the pointer or copies what is
 * there.
 */
typedef struct ml4t_math {
    double (*exp)(double);
    double (*log)(double);
    double (*pow)(double, double);
} ml4t_math;

#ifdef __cplusplus
extern "C"
#endif
void ml4t_set_math(const ml4t_math *math);

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(ml4t_header) == 24, "ml4t_header");
_Static_assert(offsetof(ml4t_header, size) == 0, "ml4t_header.size");
_Static_assert(offsetof(ml4t_header, version) == 4, "ml4t_header.version");
_Static_assert(offsetof(ml4t_header, side) == 6, "ml4t_header.side");
_Static_assert(offsetof(ml4t_header, pad) == 7, "ml4t_header.pad");
_Static_assert(offsetof(ml4t_header, asset) == 8, "ml4t_header.asset");
_Static_assert(offsetof(ml4t_header, flags) == 12, "ml4t_header.flags");
_Static_assert(offsetof(ml4t_header, ts_ns) == 16, "ml4t_header.ts_ns");
_Static_assert(sizeof(ml4t_fill_context) == 240, "ml4t_fill_context");
_Static_assert(offsetof(ml4t_fill_context, size) == 0, "ml4t_fill_context.size");
_Static_assert(offsetof(ml4t_fill_context, version) == 4, "ml4t_fill_context.version");
_Static_assert(offsetof(ml4t_fill_context, side) == 6, "ml4t_fill_context.side");
_Static_assert(offsetof(ml4t_fill_context, pad) == 7, "ml4t_fill_context.pad");
_Static_assert(offsetof(ml4t_fill_context, asset) == 8, "ml4t_fill_context.asset");
_Static_assert(offsetof(ml4t_fill_context, flags) == 12, "ml4t_fill_context.flags");
_Static_assert(offsetof(ml4t_fill_context, ts_ns) == 16, "ml4t_fill_context.ts_ns");
_Static_assert(offsetof(ml4t_fill_context, kind) == 24, "ml4t_fill_context.kind");
_Static_assert(offsetof(ml4t_fill_context, phase) == 28, "ml4t_fill_context.phase");
_Static_assert(offsetof(ml4t_fill_context, liquidity) == 32, "ml4t_fill_context.liquidity");
_Static_assert(offsetof(ml4t_fill_context, reserved) == 36, "ml4t_fill_context.reserved");
_Static_assert(offsetof(ml4t_fill_context, order) == 40, "ml4t_fill_context.order");
_Static_assert(offsetof(ml4t_fill_context, price) == 48, "ml4t_fill_context.price");
_Static_assert(offsetof(ml4t_fill_context, leaves_quantity) == 56, "ml4t_fill_context.leaves_quantity");
_Static_assert(offsetof(ml4t_fill_context, limit_price) == 64, "ml4t_fill_context.limit_price");
_Static_assert(offsetof(ml4t_fill_context, stop_price) == 72, "ml4t_fill_context.stop_price");
_Static_assert(offsetof(ml4t_fill_context, open) == 80, "ml4t_fill_context.open");
_Static_assert(offsetof(ml4t_fill_context, high) == 88, "ml4t_fill_context.high");
_Static_assert(offsetof(ml4t_fill_context, low) == 96, "ml4t_fill_context.low");
_Static_assert(offsetof(ml4t_fill_context, close) == 104, "ml4t_fill_context.close");
_Static_assert(offsetof(ml4t_fill_context, volume) == 112, "ml4t_fill_context.volume");
_Static_assert(offsetof(ml4t_fill_context, bid) == 120, "ml4t_fill_context.bid");
_Static_assert(offsetof(ml4t_fill_context, ask) == 128, "ml4t_fill_context.ask");
_Static_assert(offsetof(ml4t_fill_context, bid_size) == 136, "ml4t_fill_context.bid_size");
_Static_assert(offsetof(ml4t_fill_context, ask_size) == 144, "ml4t_fill_context.ask_size");
_Static_assert(offsetof(ml4t_fill_context, trade_size) == 152, "ml4t_fill_context.trade_size");
_Static_assert(offsetof(ml4t_fill_context, volume_used) == 160, "ml4t_fill_context.volume_used");
_Static_assert(offsetof(ml4t_fill_context, lot_size) == 168, "ml4t_fill_context.lot_size");
_Static_assert(offsetof(ml4t_fill_context, tick_size) == 176, "ml4t_fill_context.tick_size");
_Static_assert(offsetof(ml4t_fill_context, random) == 184, "ml4t_fill_context.random");
_Static_assert(offsetof(ml4t_fill_context, average_volume) == 216, "ml4t_fill_context.average_volume");
_Static_assert(offsetof(ml4t_fill_context, session_used) == 224, "ml4t_fill_context.session_used");
_Static_assert(offsetof(ml4t_fill_context, queue_ahead) == 232, "ml4t_fill_context.queue_ahead");
_Static_assert(sizeof(ml4t_fill_slice) == 24, "ml4t_fill_slice");
_Static_assert(offsetof(ml4t_fill_slice, price) == 0, "ml4t_fill_slice.price");
_Static_assert(offsetof(ml4t_fill_slice, quantity) == 8, "ml4t_fill_slice.quantity");
_Static_assert(offsetof(ml4t_fill_slice, liquidity) == 16, "ml4t_fill_slice.liquidity");
_Static_assert(offsetof(ml4t_fill_slice, reserved) == 20, "ml4t_fill_slice.reserved");
_Static_assert(sizeof(ml4t_fill_output) == 16, "ml4t_fill_output");
_Static_assert(offsetof(ml4t_fill_output, n_fills) == 0, "ml4t_fill_output.n_fills");
_Static_assert(offsetof(ml4t_fill_output, reserved) == 4, "ml4t_fill_output.reserved");
_Static_assert(offsetof(ml4t_fill_output, code) == 8, "ml4t_fill_output.code");
_Static_assert(sizeof(ml4t_level) == 32, "ml4t_level");
_Static_assert(offsetof(ml4t_level, bid) == 0, "ml4t_level.bid");
_Static_assert(offsetof(ml4t_level, bid_size) == 8, "ml4t_level.bid_size");
_Static_assert(offsetof(ml4t_level, ask) == 16, "ml4t_level.ask");
_Static_assert(offsetof(ml4t_level, ask_size) == 24, "ml4t_level.ask_size");
_Static_assert(sizeof(ml4t_slippage_context) == 184, "ml4t_slippage_context");
_Static_assert(offsetof(ml4t_slippage_context, size) == 0, "ml4t_slippage_context.size");
_Static_assert(offsetof(ml4t_slippage_context, version) == 4, "ml4t_slippage_context.version");
_Static_assert(offsetof(ml4t_slippage_context, side) == 6, "ml4t_slippage_context.side");
_Static_assert(offsetof(ml4t_slippage_context, pad) == 7, "ml4t_slippage_context.pad");
_Static_assert(offsetof(ml4t_slippage_context, asset) == 8, "ml4t_slippage_context.asset");
_Static_assert(offsetof(ml4t_slippage_context, flags) == 12, "ml4t_slippage_context.flags");
_Static_assert(offsetof(ml4t_slippage_context, ts_ns) == 16, "ml4t_slippage_context.ts_ns");
_Static_assert(offsetof(ml4t_slippage_context, phase) == 24, "ml4t_slippage_context.phase");
_Static_assert(offsetof(ml4t_slippage_context, reserved) == 28, "ml4t_slippage_context.reserved");
_Static_assert(offsetof(ml4t_slippage_context, price) == 32, "ml4t_slippage_context.price");
_Static_assert(offsetof(ml4t_slippage_context, quantity) == 40, "ml4t_slippage_context.quantity");
_Static_assert(offsetof(ml4t_slippage_context, open) == 48, "ml4t_slippage_context.open");
_Static_assert(offsetof(ml4t_slippage_context, high) == 56, "ml4t_slippage_context.high");
_Static_assert(offsetof(ml4t_slippage_context, low) == 64, "ml4t_slippage_context.low");
_Static_assert(offsetof(ml4t_slippage_context, close) == 72, "ml4t_slippage_context.close");
_Static_assert(offsetof(ml4t_slippage_context, volume) == 80, "ml4t_slippage_context.volume");
_Static_assert(offsetof(ml4t_slippage_context, bid) == 88, "ml4t_slippage_context.bid");
_Static_assert(offsetof(ml4t_slippage_context, ask) == 96, "ml4t_slippage_context.ask");
_Static_assert(offsetof(ml4t_slippage_context, volume_used) == 104, "ml4t_slippage_context.volume_used");
_Static_assert(offsetof(ml4t_slippage_context, tick_size) == 112, "ml4t_slippage_context.tick_size");
_Static_assert(offsetof(ml4t_slippage_context, lot_size) == 120, "ml4t_slippage_context.lot_size");
_Static_assert(offsetof(ml4t_slippage_context, multiplier) == 128, "ml4t_slippage_context.multiplier");
_Static_assert(offsetof(ml4t_slippage_context, random) == 136, "ml4t_slippage_context.random");
_Static_assert(offsetof(ml4t_slippage_context, average_volume) == 168, "ml4t_slippage_context.average_volume");
_Static_assert(offsetof(ml4t_slippage_context, volatility) == 176, "ml4t_slippage_context.volatility");
_Static_assert(sizeof(ml4t_slippage_output) == 32, "ml4t_slippage_output");
_Static_assert(offsetof(ml4t_slippage_output, adjustment) == 0, "ml4t_slippage_output.adjustment");
_Static_assert(offsetof(ml4t_slippage_output, spread) == 8, "ml4t_slippage_output.spread");
_Static_assert(offsetof(ml4t_slippage_output, quantity_cap) == 16, "ml4t_slippage_output.quantity_cap");
_Static_assert(offsetof(ml4t_slippage_output, code) == 24, "ml4t_slippage_output.code");
_Static_assert(sizeof(ml4t_impact_context) == 208, "ml4t_impact_context");
_Static_assert(offsetof(ml4t_impact_context, size) == 0, "ml4t_impact_context.size");
_Static_assert(offsetof(ml4t_impact_context, version) == 4, "ml4t_impact_context.version");
_Static_assert(offsetof(ml4t_impact_context, side) == 6, "ml4t_impact_context.side");
_Static_assert(offsetof(ml4t_impact_context, pad) == 7, "ml4t_impact_context.pad");
_Static_assert(offsetof(ml4t_impact_context, asset) == 8, "ml4t_impact_context.asset");
_Static_assert(offsetof(ml4t_impact_context, flags) == 12, "ml4t_impact_context.flags");
_Static_assert(offsetof(ml4t_impact_context, ts_ns) == 16, "ml4t_impact_context.ts_ns");
_Static_assert(offsetof(ml4t_impact_context, phase) == 24, "ml4t_impact_context.phase");
_Static_assert(offsetof(ml4t_impact_context, reserved) == 28, "ml4t_impact_context.reserved");
_Static_assert(offsetof(ml4t_impact_context, price) == 32, "ml4t_impact_context.price");
_Static_assert(offsetof(ml4t_impact_context, quantity) == 40, "ml4t_impact_context.quantity");
_Static_assert(offsetof(ml4t_impact_context, order_quantity) == 48, "ml4t_impact_context.order_quantity");
_Static_assert(offsetof(ml4t_impact_context, order_filled_quantity) == 56, "ml4t_impact_context.order_filled_quantity");
_Static_assert(offsetof(ml4t_impact_context, open) == 64, "ml4t_impact_context.open");
_Static_assert(offsetof(ml4t_impact_context, high) == 72, "ml4t_impact_context.high");
_Static_assert(offsetof(ml4t_impact_context, low) == 80, "ml4t_impact_context.low");
_Static_assert(offsetof(ml4t_impact_context, close) == 88, "ml4t_impact_context.close");
_Static_assert(offsetof(ml4t_impact_context, volume) == 96, "ml4t_impact_context.volume");
_Static_assert(offsetof(ml4t_impact_context, bid) == 104, "ml4t_impact_context.bid");
_Static_assert(offsetof(ml4t_impact_context, ask) == 112, "ml4t_impact_context.ask");
_Static_assert(offsetof(ml4t_impact_context, volume_used) == 120, "ml4t_impact_context.volume_used");
_Static_assert(offsetof(ml4t_impact_context, average_volume) == 128, "ml4t_impact_context.average_volume");
_Static_assert(offsetof(ml4t_impact_context, volatility) == 136, "ml4t_impact_context.volatility");
_Static_assert(offsetof(ml4t_impact_context, displacement) == 144, "ml4t_impact_context.displacement");
_Static_assert(offsetof(ml4t_impact_context, tick_size) == 152, "ml4t_impact_context.tick_size");
_Static_assert(offsetof(ml4t_impact_context, lot_size) == 160, "ml4t_impact_context.lot_size");
_Static_assert(offsetof(ml4t_impact_context, multiplier) == 168, "ml4t_impact_context.multiplier");
_Static_assert(offsetof(ml4t_impact_context, random) == 176, "ml4t_impact_context.random");
_Static_assert(sizeof(ml4t_impact_output) == 24, "ml4t_impact_output");
_Static_assert(offsetof(ml4t_impact_output, temporary) == 0, "ml4t_impact_output.temporary");
_Static_assert(offsetof(ml4t_impact_output, permanent) == 8, "ml4t_impact_output.permanent");
_Static_assert(offsetof(ml4t_impact_output, code) == 16, "ml4t_impact_output.code");
_Static_assert(sizeof(ml4t_fee_context) == 104, "ml4t_fee_context");
_Static_assert(offsetof(ml4t_fee_context, size) == 0, "ml4t_fee_context.size");
_Static_assert(offsetof(ml4t_fee_context, version) == 4, "ml4t_fee_context.version");
_Static_assert(offsetof(ml4t_fee_context, side) == 6, "ml4t_fee_context.side");
_Static_assert(offsetof(ml4t_fee_context, pad) == 7, "ml4t_fee_context.pad");
_Static_assert(offsetof(ml4t_fee_context, asset) == 8, "ml4t_fee_context.asset");
_Static_assert(offsetof(ml4t_fee_context, flags) == 12, "ml4t_fee_context.flags");
_Static_assert(offsetof(ml4t_fee_context, ts_ns) == 16, "ml4t_fee_context.ts_ns");
_Static_assert(offsetof(ml4t_fee_context, liquidity) == 24, "ml4t_fee_context.liquidity");
_Static_assert(offsetof(ml4t_fee_context, reserved) == 28, "ml4t_fee_context.reserved");
_Static_assert(offsetof(ml4t_fee_context, price) == 32, "ml4t_fee_context.price");
_Static_assert(offsetof(ml4t_fee_context, quantity) == 40, "ml4t_fee_context.quantity");
_Static_assert(offsetof(ml4t_fee_context, multiplier) == 48, "ml4t_fee_context.multiplier");
_Static_assert(offsetof(ml4t_fee_context, notional) == 56, "ml4t_fee_context.notional");
_Static_assert(offsetof(ml4t_fee_context, order_filled_quantity) == 64, "ml4t_fee_context.order_filled_quantity");
_Static_assert(offsetof(ml4t_fee_context, order_notional) == 72, "ml4t_fee_context.order_notional");
_Static_assert(offsetof(ml4t_fee_context, order_fees) == 80, "ml4t_fee_context.order_fees");
_Static_assert(offsetof(ml4t_fee_context, month_quantity) == 88, "ml4t_fee_context.month_quantity");
_Static_assert(offsetof(ml4t_fee_context, month_notional) == 96, "ml4t_fee_context.month_notional");
_Static_assert(sizeof(ml4t_fee_output) == 16, "ml4t_fee_output");
_Static_assert(offsetof(ml4t_fee_output, fee) == 0, "ml4t_fee_output.fee");
_Static_assert(offsetof(ml4t_fee_output, code) == 8, "ml4t_fee_output.code");
_Static_assert(sizeof(ml4t_fill_event) == 88, "ml4t_fill_event");
_Static_assert(offsetof(ml4t_fill_event, size) == 0, "ml4t_fill_event.size");
_Static_assert(offsetof(ml4t_fill_event, version) == 4, "ml4t_fill_event.version");
_Static_assert(offsetof(ml4t_fill_event, side) == 6, "ml4t_fill_event.side");
_Static_assert(offsetof(ml4t_fill_event, pad) == 7, "ml4t_fill_event.pad");
_Static_assert(offsetof(ml4t_fill_event, asset) == 8, "ml4t_fill_event.asset");
_Static_assert(offsetof(ml4t_fill_event, flags) == 12, "ml4t_fill_event.flags");
_Static_assert(offsetof(ml4t_fill_event, ts_ns) == 16, "ml4t_fill_event.ts_ns");
_Static_assert(offsetof(ml4t_fill_event, order) == 24, "ml4t_fill_event.order");
_Static_assert(offsetof(ml4t_fill_event, price) == 32, "ml4t_fill_event.price");
_Static_assert(offsetof(ml4t_fill_event, quantity) == 40, "ml4t_fill_event.quantity");
_Static_assert(offsetof(ml4t_fill_event, multiplier) == 48, "ml4t_fill_event.multiplier");
_Static_assert(offsetof(ml4t_fill_event, fee) == 56, "ml4t_fill_event.fee");
_Static_assert(offsetof(ml4t_fill_event, slippage) == 64, "ml4t_fill_event.slippage");
_Static_assert(offsetof(ml4t_fill_event, impact) == 72, "ml4t_fill_event.impact");
_Static_assert(offsetof(ml4t_fill_event, liquidity) == 80, "ml4t_fill_event.liquidity");
_Static_assert(offsetof(ml4t_fill_event, reserved) == 84, "ml4t_fill_event.reserved");
_Static_assert(sizeof(ml4t_market_event) == 104, "ml4t_market_event");
_Static_assert(offsetof(ml4t_market_event, size) == 0, "ml4t_market_event.size");
_Static_assert(offsetof(ml4t_market_event, version) == 4, "ml4t_market_event.version");
_Static_assert(offsetof(ml4t_market_event, side) == 6, "ml4t_market_event.side");
_Static_assert(offsetof(ml4t_market_event, pad) == 7, "ml4t_market_event.pad");
_Static_assert(offsetof(ml4t_market_event, asset) == 8, "ml4t_market_event.asset");
_Static_assert(offsetof(ml4t_market_event, flags) == 12, "ml4t_market_event.flags");
_Static_assert(offsetof(ml4t_market_event, ts_ns) == 16, "ml4t_market_event.ts_ns");
_Static_assert(offsetof(ml4t_market_event, phase) == 24, "ml4t_market_event.phase");
_Static_assert(offsetof(ml4t_market_event, reserved) == 28, "ml4t_market_event.reserved");
_Static_assert(offsetof(ml4t_market_event, bid) == 32, "ml4t_market_event.bid");
_Static_assert(offsetof(ml4t_market_event, ask) == 40, "ml4t_market_event.ask");
_Static_assert(offsetof(ml4t_market_event, bid_size) == 48, "ml4t_market_event.bid_size");
_Static_assert(offsetof(ml4t_market_event, ask_size) == 56, "ml4t_market_event.ask_size");
_Static_assert(offsetof(ml4t_market_event, trade_price) == 64, "ml4t_market_event.trade_price");
_Static_assert(offsetof(ml4t_market_event, trade_size) == 72, "ml4t_market_event.trade_size");
_Static_assert(offsetof(ml4t_market_event, order) == 80, "ml4t_market_event.order");
_Static_assert(offsetof(ml4t_market_event, limit_price) == 88, "ml4t_market_event.limit_price");
_Static_assert(offsetof(ml4t_market_event, leaves_quantity) == 96, "ml4t_market_event.leaves_quantity");
_Static_assert(sizeof(ml4t_holding) == 80, "ml4t_holding");
_Static_assert(offsetof(ml4t_holding, asset) == 0, "ml4t_holding.asset");
_Static_assert(offsetof(ml4t_holding, reserved) == 4, "ml4t_holding.reserved");
_Static_assert(offsetof(ml4t_holding, quantity) == 8, "ml4t_holding.quantity");
_Static_assert(offsetof(ml4t_holding, mark) == 16, "ml4t_holding.mark");
_Static_assert(offsetof(ml4t_holding, multiplier) == 24, "ml4t_holding.multiplier");
_Static_assert(offsetof(ml4t_holding, fx) == 32, "ml4t_holding.fx");
_Static_assert(offsetof(ml4t_holding, initial_rate) == 40, "ml4t_holding.initial_rate");
_Static_assert(offsetof(ml4t_holding, maintenance_rate) == 48, "ml4t_holding.maintenance_rate");
_Static_assert(offsetof(ml4t_holding, lot_size) == 56, "ml4t_holding.lot_size");
_Static_assert(offsetof(ml4t_holding, unrealized) == 64, "ml4t_holding.unrealized");
_Static_assert(offsetof(ml4t_holding, requirement) == 72, "ml4t_holding.requirement");
_Static_assert(sizeof(ml4t_margin_context) == 40, "ml4t_margin_context");
_Static_assert(offsetof(ml4t_margin_context, size) == 0, "ml4t_margin_context.size");
_Static_assert(offsetof(ml4t_margin_context, version) == 4, "ml4t_margin_context.version");
_Static_assert(offsetof(ml4t_margin_context, side) == 6, "ml4t_margin_context.side");
_Static_assert(offsetof(ml4t_margin_context, pad) == 7, "ml4t_margin_context.pad");
_Static_assert(offsetof(ml4t_margin_context, asset) == 8, "ml4t_margin_context.asset");
_Static_assert(offsetof(ml4t_margin_context, flags) == 12, "ml4t_margin_context.flags");
_Static_assert(offsetof(ml4t_margin_context, ts_ns) == 16, "ml4t_margin_context.ts_ns");
_Static_assert(offsetof(ml4t_margin_context, cash) == 24, "ml4t_margin_context.cash");
_Static_assert(offsetof(ml4t_margin_context, equity) == 32, "ml4t_margin_context.equity");
_Static_assert(sizeof(ml4t_margin_output) == 32, "ml4t_margin_output");
_Static_assert(offsetof(ml4t_margin_output, initial) == 0, "ml4t_margin_output.initial");
_Static_assert(offsetof(ml4t_margin_output, maintenance) == 8, "ml4t_margin_output.maintenance");
_Static_assert(offsetof(ml4t_margin_output, code) == 16, "ml4t_margin_output.code");
_Static_assert(offsetof(ml4t_margin_output, overnight) == 24, "ml4t_margin_output.overnight");
_Static_assert(sizeof(ml4t_liquidation_context) == 48, "ml4t_liquidation_context");
_Static_assert(offsetof(ml4t_liquidation_context, size) == 0, "ml4t_liquidation_context.size");
_Static_assert(offsetof(ml4t_liquidation_context, version) == 4, "ml4t_liquidation_context.version");
_Static_assert(offsetof(ml4t_liquidation_context, side) == 6, "ml4t_liquidation_context.side");
_Static_assert(offsetof(ml4t_liquidation_context, pad) == 7, "ml4t_liquidation_context.pad");
_Static_assert(offsetof(ml4t_liquidation_context, asset) == 8, "ml4t_liquidation_context.asset");
_Static_assert(offsetof(ml4t_liquidation_context, flags) == 12, "ml4t_liquidation_context.flags");
_Static_assert(offsetof(ml4t_liquidation_context, ts_ns) == 16, "ml4t_liquidation_context.ts_ns");
_Static_assert(offsetof(ml4t_liquidation_context, cash) == 24, "ml4t_liquidation_context.cash");
_Static_assert(offsetof(ml4t_liquidation_context, equity) == 32, "ml4t_liquidation_context.equity");
_Static_assert(offsetof(ml4t_liquidation_context, deficit) == 40, "ml4t_liquidation_context.deficit");
_Static_assert(sizeof(ml4t_liquidation_output) == 8, "ml4t_liquidation_output");
_Static_assert(offsetof(ml4t_liquidation_output, code) == 0, "ml4t_liquidation_output.code");
_Static_assert(sizeof(ml4t_borrow_context) == 64, "ml4t_borrow_context");
_Static_assert(offsetof(ml4t_borrow_context, size) == 0, "ml4t_borrow_context.size");
_Static_assert(offsetof(ml4t_borrow_context, version) == 4, "ml4t_borrow_context.version");
_Static_assert(offsetof(ml4t_borrow_context, side) == 6, "ml4t_borrow_context.side");
_Static_assert(offsetof(ml4t_borrow_context, pad) == 7, "ml4t_borrow_context.pad");
_Static_assert(offsetof(ml4t_borrow_context, asset) == 8, "ml4t_borrow_context.asset");
_Static_assert(offsetof(ml4t_borrow_context, flags) == 12, "ml4t_borrow_context.flags");
_Static_assert(offsetof(ml4t_borrow_context, ts_ns) == 16, "ml4t_borrow_context.ts_ns");
_Static_assert(offsetof(ml4t_borrow_context, price) == 24, "ml4t_borrow_context.price");
_Static_assert(offsetof(ml4t_borrow_context, quantity) == 32, "ml4t_borrow_context.quantity");
_Static_assert(offsetof(ml4t_borrow_context, multiplier) == 40, "ml4t_borrow_context.multiplier");
_Static_assert(offsetof(ml4t_borrow_context, days) == 48, "ml4t_borrow_context.days");
_Static_assert(offsetof(ml4t_borrow_context, rate_annual) == 56, "ml4t_borrow_context.rate_annual");
_Static_assert(sizeof(ml4t_borrow_output) == 16, "ml4t_borrow_output");
_Static_assert(offsetof(ml4t_borrow_output, fee) == 0, "ml4t_borrow_output.fee");
_Static_assert(offsetof(ml4t_borrow_output, code) == 8, "ml4t_borrow_output.code");
_Static_assert(sizeof(ml4t_funding_context) == 56, "ml4t_funding_context");
_Static_assert(offsetof(ml4t_funding_context, size) == 0, "ml4t_funding_context.size");
_Static_assert(offsetof(ml4t_funding_context, version) == 4, "ml4t_funding_context.version");
_Static_assert(offsetof(ml4t_funding_context, side) == 6, "ml4t_funding_context.side");
_Static_assert(offsetof(ml4t_funding_context, pad) == 7, "ml4t_funding_context.pad");
_Static_assert(offsetof(ml4t_funding_context, asset) == 8, "ml4t_funding_context.asset");
_Static_assert(offsetof(ml4t_funding_context, flags) == 12, "ml4t_funding_context.flags");
_Static_assert(offsetof(ml4t_funding_context, ts_ns) == 16, "ml4t_funding_context.ts_ns");
_Static_assert(offsetof(ml4t_funding_context, mark) == 24, "ml4t_funding_context.mark");
_Static_assert(offsetof(ml4t_funding_context, quantity) == 32, "ml4t_funding_context.quantity");
_Static_assert(offsetof(ml4t_funding_context, multiplier) == 40, "ml4t_funding_context.multiplier");
_Static_assert(offsetof(ml4t_funding_context, rate) == 48, "ml4t_funding_context.rate");
_Static_assert(sizeof(ml4t_funding_output) == 16, "ml4t_funding_output");
_Static_assert(offsetof(ml4t_funding_output, payment) == 0, "ml4t_funding_output.payment");
_Static_assert(offsetof(ml4t_funding_output, code) == 8, "ml4t_funding_output.code");
_Static_assert(sizeof(ml4t_interest_context) == 48, "ml4t_interest_context");
_Static_assert(offsetof(ml4t_interest_context, size) == 0, "ml4t_interest_context.size");
_Static_assert(offsetof(ml4t_interest_context, version) == 4, "ml4t_interest_context.version");
_Static_assert(offsetof(ml4t_interest_context, side) == 6, "ml4t_interest_context.side");
_Static_assert(offsetof(ml4t_interest_context, pad) == 7, "ml4t_interest_context.pad");
_Static_assert(offsetof(ml4t_interest_context, asset) == 8, "ml4t_interest_context.asset");
_Static_assert(offsetof(ml4t_interest_context, flags) == 12, "ml4t_interest_context.flags");
_Static_assert(offsetof(ml4t_interest_context, ts_ns) == 16, "ml4t_interest_context.ts_ns");
_Static_assert(offsetof(ml4t_interest_context, cash) == 24, "ml4t_interest_context.cash");
_Static_assert(offsetof(ml4t_interest_context, short_value) == 32, "ml4t_interest_context.short_value");
_Static_assert(offsetof(ml4t_interest_context, days) == 40, "ml4t_interest_context.days");
_Static_assert(sizeof(ml4t_interest_output) == 16, "ml4t_interest_output");
_Static_assert(offsetof(ml4t_interest_output, payment) == 0, "ml4t_interest_output.payment");
_Static_assert(offsetof(ml4t_interest_output, code) == 8, "ml4t_interest_output.code");
_Static_assert(sizeof(ml4t_latency_context) == 64, "ml4t_latency_context");
_Static_assert(offsetof(ml4t_latency_context, size) == 0, "ml4t_latency_context.size");
_Static_assert(offsetof(ml4t_latency_context, version) == 4, "ml4t_latency_context.version");
_Static_assert(offsetof(ml4t_latency_context, side) == 6, "ml4t_latency_context.side");
_Static_assert(offsetof(ml4t_latency_context, pad) == 7, "ml4t_latency_context.pad");
_Static_assert(offsetof(ml4t_latency_context, asset) == 8, "ml4t_latency_context.asset");
_Static_assert(offsetof(ml4t_latency_context, flags) == 12, "ml4t_latency_context.flags");
_Static_assert(offsetof(ml4t_latency_context, ts_ns) == 16, "ml4t_latency_context.ts_ns");
_Static_assert(offsetof(ml4t_latency_context, message) == 24, "ml4t_latency_context.message");
_Static_assert(offsetof(ml4t_latency_context, venue) == 28, "ml4t_latency_context.venue");
_Static_assert(offsetof(ml4t_latency_context, random) == 32, "ml4t_latency_context.random");
_Static_assert(sizeof(ml4t_latency_output) == 16, "ml4t_latency_output");
_Static_assert(offsetof(ml4t_latency_output, delay_ns) == 0, "ml4t_latency_output.delay_ns");
_Static_assert(offsetof(ml4t_latency_output, code) == 8, "ml4t_latency_output.code");
_Static_assert(sizeof(ml4t_fx_context) == 40, "ml4t_fx_context");
_Static_assert(offsetof(ml4t_fx_context, size) == 0, "ml4t_fx_context.size");
_Static_assert(offsetof(ml4t_fx_context, version) == 4, "ml4t_fx_context.version");
_Static_assert(offsetof(ml4t_fx_context, side) == 6, "ml4t_fx_context.side");
_Static_assert(offsetof(ml4t_fx_context, pad) == 7, "ml4t_fx_context.pad");
_Static_assert(offsetof(ml4t_fx_context, asset) == 8, "ml4t_fx_context.asset");
_Static_assert(offsetof(ml4t_fx_context, flags) == 12, "ml4t_fx_context.flags");
_Static_assert(offsetof(ml4t_fx_context, ts_ns) == 16, "ml4t_fx_context.ts_ns");
_Static_assert(offsetof(ml4t_fx_context, amount) == 24, "ml4t_fx_context.amount");
_Static_assert(offsetof(ml4t_fx_context, rate) == 32, "ml4t_fx_context.rate");
_Static_assert(sizeof(ml4t_fx_output) == 24, "ml4t_fx_output");
_Static_assert(offsetof(ml4t_fx_output, rate) == 0, "ml4t_fx_output.rate");
_Static_assert(offsetof(ml4t_fx_output, fee) == 8, "ml4t_fx_output.fee");
_Static_assert(offsetof(ml4t_fx_output, code) == 16, "ml4t_fx_output.code");
_Static_assert(sizeof(ml4t_settlement_context) == 40, "ml4t_settlement_context");
_Static_assert(offsetof(ml4t_settlement_context, size) == 0, "ml4t_settlement_context.size");
_Static_assert(offsetof(ml4t_settlement_context, version) == 4, "ml4t_settlement_context.version");
_Static_assert(offsetof(ml4t_settlement_context, side) == 6, "ml4t_settlement_context.side");
_Static_assert(offsetof(ml4t_settlement_context, pad) == 7, "ml4t_settlement_context.pad");
_Static_assert(offsetof(ml4t_settlement_context, asset) == 8, "ml4t_settlement_context.asset");
_Static_assert(offsetof(ml4t_settlement_context, flags) == 12, "ml4t_settlement_context.flags");
_Static_assert(offsetof(ml4t_settlement_context, ts_ns) == 16, "ml4t_settlement_context.ts_ns");
_Static_assert(offsetof(ml4t_settlement_context, amount) == 24, "ml4t_settlement_context.amount");
_Static_assert(offsetof(ml4t_settlement_context, session) == 32, "ml4t_settlement_context.session");
_Static_assert(sizeof(ml4t_settlement_output) == 16, "ml4t_settlement_output");
_Static_assert(offsetof(ml4t_settlement_output, sessions) == 0, "ml4t_settlement_output.sessions");
_Static_assert(offsetof(ml4t_settlement_output, code) == 8, "ml4t_settlement_output.code");
_Static_assert(sizeof(ml4t_order_record) == 64, "ml4t_order_record");
_Static_assert(offsetof(ml4t_order_record, action) == 0, "ml4t_order_record.action");
_Static_assert(offsetof(ml4t_order_record, asset) == 4, "ml4t_order_record.asset");
_Static_assert(offsetof(ml4t_order_record, order_type) == 8, "ml4t_order_record.order_type");
_Static_assert(offsetof(ml4t_order_record, life) == 12, "ml4t_order_record.life");
_Static_assert(offsetof(ml4t_order_record, client_id) == 16, "ml4t_order_record.client_id");
_Static_assert(offsetof(ml4t_order_record, group) == 24, "ml4t_order_record.group");
_Static_assert(offsetof(ml4t_order_record, parent) == 32, "ml4t_order_record.parent");
_Static_assert(offsetof(ml4t_order_record, quantity) == 40, "ml4t_order_record.quantity");
_Static_assert(offsetof(ml4t_order_record, limit_price) == 48, "ml4t_order_record.limit_price");
_Static_assert(offsetof(ml4t_order_record, stop_price) == 56, "ml4t_order_record.stop_price");
_Static_assert(sizeof(ml4t_open_order) == 40, "ml4t_open_order");
_Static_assert(offsetof(ml4t_open_order, asset) == 0, "ml4t_open_order.asset");
_Static_assert(offsetof(ml4t_open_order, order_type) == 4, "ml4t_open_order.order_type");
_Static_assert(offsetof(ml4t_open_order, client_id) == 8, "ml4t_open_order.client_id");
_Static_assert(offsetof(ml4t_open_order, leaves_quantity) == 16, "ml4t_open_order.leaves_quantity");
_Static_assert(offsetof(ml4t_open_order, limit_price) == 24, "ml4t_open_order.limit_price");
_Static_assert(offsetof(ml4t_open_order, stop_price) == 32, "ml4t_open_order.stop_price");
_Static_assert(sizeof(ml4t_strategy_context) == 72, "ml4t_strategy_context");
_Static_assert(offsetof(ml4t_strategy_context, size) == 0, "ml4t_strategy_context.size");
_Static_assert(offsetof(ml4t_strategy_context, version) == 4, "ml4t_strategy_context.version");
_Static_assert(offsetof(ml4t_strategy_context, side) == 6, "ml4t_strategy_context.side");
_Static_assert(offsetof(ml4t_strategy_context, pad) == 7, "ml4t_strategy_context.pad");
_Static_assert(offsetof(ml4t_strategy_context, asset) == 8, "ml4t_strategy_context.asset");
_Static_assert(offsetof(ml4t_strategy_context, flags) == 12, "ml4t_strategy_context.flags");
_Static_assert(offsetof(ml4t_strategy_context, ts_ns) == 16, "ml4t_strategy_context.ts_ns");
_Static_assert(offsetof(ml4t_strategy_context, n_assets) == 24, "ml4t_strategy_context.n_assets");
_Static_assert(offsetof(ml4t_strategy_context, n_columns) == 28, "ml4t_strategy_context.n_columns");
_Static_assert(offsetof(ml4t_strategy_context, n_changed) == 32, "ml4t_strategy_context.n_changed");
_Static_assert(offsetof(ml4t_strategy_context, n_open_orders) == 36, "ml4t_strategy_context.n_open_orders");
_Static_assert(offsetof(ml4t_strategy_context, n_fills) == 40, "ml4t_strategy_context.n_fills");
_Static_assert(offsetof(ml4t_strategy_context, session_closed) == 44, "ml4t_strategy_context.session_closed");
_Static_assert(offsetof(ml4t_strategy_context, cash) == 48, "ml4t_strategy_context.cash");
_Static_assert(offsetof(ml4t_strategy_context, equity) == 56, "ml4t_strategy_context.equity");
_Static_assert(offsetof(ml4t_strategy_context, instant) == 64, "ml4t_strategy_context.instant");
_Static_assert(sizeof(ml4t_executor_context) == 216, "ml4t_executor_context");
_Static_assert(offsetof(ml4t_executor_context, size) == 0, "ml4t_executor_context.size");
_Static_assert(offsetof(ml4t_executor_context, version) == 4, "ml4t_executor_context.version");
_Static_assert(offsetof(ml4t_executor_context, side) == 6, "ml4t_executor_context.side");
_Static_assert(offsetof(ml4t_executor_context, pad) == 7, "ml4t_executor_context.pad");
_Static_assert(offsetof(ml4t_executor_context, asset) == 8, "ml4t_executor_context.asset");
_Static_assert(offsetof(ml4t_executor_context, flags) == 12, "ml4t_executor_context.flags");
_Static_assert(offsetof(ml4t_executor_context, ts_ns) == 16, "ml4t_executor_context.ts_ns");
_Static_assert(offsetof(ml4t_executor_context, begin_ns) == 24, "ml4t_executor_context.begin_ns");
_Static_assert(offsetof(ml4t_executor_context, call) == 32, "ml4t_executor_context.call");
_Static_assert(offsetof(ml4t_executor_context, n_open_orders) == 40, "ml4t_executor_context.n_open_orders");
_Static_assert(offsetof(ml4t_executor_context, reserved) == 44, "ml4t_executor_context.reserved");
_Static_assert(offsetof(ml4t_executor_context, elapsed) == 48, "ml4t_executor_context.elapsed");
_Static_assert(offsetof(ml4t_executor_context, quantity) == 56, "ml4t_executor_context.quantity");
_Static_assert(offsetof(ml4t_executor_context, filled) == 64, "ml4t_executor_context.filled");
_Static_assert(offsetof(ml4t_executor_context, working) == 72, "ml4t_executor_context.working");
_Static_assert(offsetof(ml4t_executor_context, average_price) == 80, "ml4t_executor_context.average_price");
_Static_assert(offsetof(ml4t_executor_context, price) == 88, "ml4t_executor_context.price");
_Static_assert(offsetof(ml4t_executor_context, bid) == 96, "ml4t_executor_context.bid");
_Static_assert(offsetof(ml4t_executor_context, ask) == 104, "ml4t_executor_context.ask");
_Static_assert(offsetof(ml4t_executor_context, bid_size) == 112, "ml4t_executor_context.bid_size");
_Static_assert(offsetof(ml4t_executor_context, ask_size) == 120, "ml4t_executor_context.ask_size");
_Static_assert(offsetof(ml4t_executor_context, volume) == 128, "ml4t_executor_context.volume");
_Static_assert(offsetof(ml4t_executor_context, total_volume) == 136, "ml4t_executor_context.total_volume");
_Static_assert(offsetof(ml4t_executor_context, average_volume) == 144, "ml4t_executor_context.average_volume");
_Static_assert(offsetof(ml4t_executor_context, volatility) == 152, "ml4t_executor_context.volatility");
_Static_assert(offsetof(ml4t_executor_context, lot_size) == 160, "ml4t_executor_context.lot_size");
_Static_assert(offsetof(ml4t_executor_context, tick_size) == 168, "ml4t_executor_context.tick_size");
_Static_assert(offsetof(ml4t_executor_context, multiplier) == 176, "ml4t_executor_context.multiplier");
_Static_assert(offsetof(ml4t_executor_context, random) == 184, "ml4t_executor_context.random");
_Static_assert(sizeof(ml4t_indicator_context) == 32, "ml4t_indicator_context");
_Static_assert(offsetof(ml4t_indicator_context, size) == 0, "ml4t_indicator_context.size");
_Static_assert(offsetof(ml4t_indicator_context, version) == 4, "ml4t_indicator_context.version");
_Static_assert(offsetof(ml4t_indicator_context, side) == 6, "ml4t_indicator_context.side");
_Static_assert(offsetof(ml4t_indicator_context, pad) == 7, "ml4t_indicator_context.pad");
_Static_assert(offsetof(ml4t_indicator_context, asset) == 8, "ml4t_indicator_context.asset");
_Static_assert(offsetof(ml4t_indicator_context, flags) == 12, "ml4t_indicator_context.flags");
_Static_assert(offsetof(ml4t_indicator_context, ts_ns) == 16, "ml4t_indicator_context.ts_ns");
_Static_assert(offsetof(ml4t_indicator_context, n_rows) == 24, "ml4t_indicator_context.n_rows");
_Static_assert(sizeof(ml4t_model_table) == 160, "ml4t_model_table");
_Static_assert(offsetof(ml4t_model_table, magic) == 0, "ml4t_model_table.magic");
_Static_assert(offsetof(ml4t_model_table, struct_size) == 8, "ml4t_model_table.struct_size");
_Static_assert(offsetof(ml4t_model_table, abi_major) == 12, "ml4t_model_table.abi_major");
_Static_assert(offsetof(ml4t_model_table, abi_minor) == 14, "ml4t_model_table.abi_minor");
_Static_assert(offsetof(ml4t_model_table, kind) == 16, "ml4t_model_table.kind");
_Static_assert(offsetof(ml4t_model_table, flags) == 20, "ml4t_model_table.flags");
_Static_assert(offsetof(ml4t_model_table, context_size) == 24, "ml4t_model_table.context_size");
_Static_assert(offsetof(ml4t_model_table, output_size) == 28, "ml4t_model_table.output_size");
_Static_assert(offsetof(ml4t_model_table, n_random) == 32, "ml4t_model_table.n_random");
_Static_assert(offsetof(ml4t_model_table, order_state_size) == 36, "ml4t_model_table.order_state_size");
_Static_assert(offsetof(ml4t_model_table, name) == 40, "ml4t_model_table.name");
_Static_assert(offsetof(ml4t_model_table, model_version) == 48, "ml4t_model_table.model_version");
_Static_assert(offsetof(ml4t_model_table, proto) == 56, "ml4t_model_table.proto");
_Static_assert(offsetof(ml4t_model_table, clone) == 64, "ml4t_model_table.clone");
_Static_assert(offsetof(ml4t_model_table, reset) == 72, "ml4t_model_table.reset");
_Static_assert(offsetof(ml4t_model_table, drop) == 80, "ml4t_model_table.drop");
_Static_assert(offsetof(ml4t_model_table, eval) == 88, "ml4t_model_table.eval");
_Static_assert(offsetof(ml4t_model_table, observe) == 96, "ml4t_model_table.observe");
_Static_assert(offsetof(ml4t_model_table, last_error) == 104, "ml4t_model_table.last_error");
_Static_assert(offsetof(ml4t_model_table, save) == 112, "ml4t_model_table.save");
_Static_assert(offsetof(ml4t_model_table, load) == 120, "ml4t_model_table.load");
_Static_assert(offsetof(ml4t_model_table, release) == 128, "ml4t_model_table.release");
_Static_assert(offsetof(ml4t_model_table, on_market) == 136, "ml4t_model_table.on_market");
_Static_assert(offsetof(ml4t_model_table, average_days) == 144, "ml4t_model_table.average_days");
_Static_assert(offsetof(ml4t_model_table, n_columns) == 148, "ml4t_model_table.n_columns");
_Static_assert(offsetof(ml4t_model_table, columns) == 152, "ml4t_model_table.columns");
#endif

#endif
