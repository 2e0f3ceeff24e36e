"""Arrow schemas of every table in and out. pyarrow is imported when a schema is asked for.

Times are nanoseconds UTC, text is UTF-8, `?` marks what may be null; quantities are units, prices and
amounts are in the currency of the row, or of the run where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.errors import unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

# Results. A fill's price is reference_price + sign x (spread + slippage + impact), per unit and adverse when
# positive. A row of `portfolio_history` with `is_nav` is the official value of the session it names.
_TABLES = {
    "orders": """order_id:u64 client_order_id:str book:u16 symbol:str side:str order_type:str
        time_in_force:str quantity:f64 limit_price:f64? stop_price:f64? trail_amount:f64? trail_fraction:f64?
        limit_offset:f64? activation_price:f64? display_quantity:f64? instructions:str parent_order_id:u64?
        worked_order_id:u64? group:str status:str
        filled_quantity:f64 avg_fill_price:f64? ts_submitted:ts ts_accepted:ts? ts_expires:ts? ts_closed:ts?
        reason_code:str reason:str tag:str""",
    "order_events": """sequence:u64 ts_event:ts order_id:u64 status_from:str status:str reason_code:str
        reason:str filled_quantity:f64""",
    "fills": """fill_id:u64 order_id:u64 book:u16 ts_event:ts symbol:str side:str quantity:f64 price:f64
        reference_price:f64 spread:f64 slippage:f64 impact:f64 permanent_impact:f64 fee:f64 notional:f64
        currency:str liquidity:str phase:str fx_rate:f64""",
    "round_trips": """symbol:str book:u16 direction:str quantity:f64 ts_entry:ts ts_exit:ts entry_price:f64
        exit_price:f64 gross_pnl:f64 fees:f64 net_pnl:f64 slippage_cost:f64 return:f64 duration_ns:i64
        entry_order_id:u64 exit_order_id:u64? exit_reason:str mae:f64 mfe:f64 currency:str fx_rate:f64""",
    "positions": """ts_event:ts session:date book:u16 symbol:str quantity:f64 avg_price:f64 mark_price:f64
        market_value:f64 unrealized_pnl:f64""",
    "ledger": """posting_id:u64 ts_event:ts book:u16 kind:str debit:str credit:str symbol:str? currency:str
        amount:money order_id:u64? fill_id:u64?""",
    "portfolio_history": """ts_event:ts session:date? is_nav:bool cash:f64 receivable:f64 long_value:f64
        short_value:f64 open_pnl:f64 equity:f64 realized_pnl:f64 unrealized_pnl:f64 fees:f64 dividends:f64
        carry:f64 fx_pnl:f64 fx_costs:f64 gross_exposure:f64 net_exposure:f64 leverage:f64""",
    "attribution": """ts_event:ts session:date book:u16 symbol:str? price:money spread:money slippage:money
        impact:money fees:money dividends:money borrow:money funding:money interest:money fx:money
        fx_costs:money roll:money external:money total:money""",
    "balances": """ts_event:ts session:date? book:u16 currency:str cash:money receivable:money
        long_value:money short_value:money open_pnl:money fx_rate:f64 value:money""",
    "conversions": """conversion_id:u64? ts_submitted:ts ts_event:ts book:u16 currency:str amount:money
        value:money? cost:money? symbol:str? cause:str status:str reason:str""",
    "margin": """ts_event:ts session:date book:u16 equity:money initial:money maintenance:money
        overnight:money? excess:money sma:money?""",
    "margin_calls": """ts_event:ts book:u16 kind:str status:str equity:money requirement:money amount:money
        ts_deadline:ts?""",
    "cash_flows": "ts_event:ts book:u16 currency:str amount:money value:money equity:money",
    "recorded": "ts_event:ts name:str value:f64",
    "logs": "ts_event:ts level:str message:str",
}

# Inputs, as users hand them over; further float columns of market data are features.
_INPUTS = {
    "bar": "symbol:str ts_event:ts open:f64 high:f64 low:f64 close:f64 volume:f64?",
    "quote": "symbol:str ts_event:ts bid_price:f64 ask_price:f64 bid_size:f64? ask_size:f64?",
    "trade": "symbol:str ts_event:ts price:f64 size:f64?",
    "signal": "ts_event:ts ts_arrival:ts asset_id:str score:f64 confidence:f64? version:str? model_id:str?",
    "funding": "symbol:str ts_event:ts funding_rate:f64 funding_rate_short:f64? mark_price:f64?",
    "borrow": "symbol:str ts_event:ts borrow_rate:f64? available:f64?",
    "margin_rate": "symbol:str ts_event:ts initial:f64? maintenance:f64?",
    "fx": "pair:str ts_event:ts rate:f64",
    "cash_flow": "ts_event:ts amount:f64 currency:str?",
    "settlement": "symbol:str ts_event:ts settlement_price:f64",
    "corporate_action": """symbol:str ex_date:date kind:str ratio:str? amount:str? pay_date:date? into:str?
        withholding:str?""",
}

TABLES = tuple(_TABLES)
"""Names of the result tables."""

INPUTS = tuple(_INPUTS)
"""Names of the input tables."""


def table_schema(name: str) -> pa.Schema:
    """Return the schema of a result table of `TABLES` or of an input table of `INPUTS`."""
    import pyarrow as pa

    layout = (_TABLES | _INPUTS).get(name)
    if layout is None:
        raise unknown_name("table", name, (*TABLES, *INPUTS))  # noqa: EM101
    types = {"u16": pa.uint16(), "u64": pa.uint64(), "i64": pa.int64(), "f64": pa.float64()}
    types |= {"bool": pa.bool_(), "str": pa.string(), "money": pa.decimal128(38, 18)}
    types |= {"date": pa.date32(), "ts": pa.timestamp("ns", tz="UTC")}
    columns = [column.partition(":") for column in layout.split()]
    return pa.schema([pa.field(c, types[t.rstrip("?")], nullable=t.endswith("?")) for c, _, t in columns])
