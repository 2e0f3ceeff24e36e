"""Tables of a run: which there must be, and what each must look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import ResultsError, unknown_name
from ml4t.core.schemas import TABLES, table_schema
from ml4t.engine.storage import StoredTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_table", "check_names", "kept_names"]

# Arrow has several layouts of text; producers differ, files do not.
_TEXT = {"large_string": "string", "string_view": "string"}


# What a run keeps of which only the net asset values are wanted.
_OF_NAV = ("portfolio_history", "balances", "margin", "margin_calls", "cash_flows", "recorded", "logs")


def kept_names(record: object) -> tuple[str, ...]:
    """Return the names of the tables that a run keeps, by `record` of `[backtest]`."""
    return _OF_NAV if record == "nav" else tuple(TABLES)


def check_names(tables: Mapping[str, Any], kept: tuple[str, ...]) -> None:
    """Refuse tables that are missing or unknown."""
    missing = [name for name in kept if name not in tables]
    if missing:
        message = f"results lack the tables {', '.join(missing)}"
        raise ResultsError(message)
    for name in tables:
        if name not in TABLES:
            raise unknown_name("table", name, TABLES)  # noqa: EM101


def arrow_table(name: str, raw: Any) -> pa.Table:  # noqa: ANN401 - any producer of an Arrow stream
    """Convert one table and check its schema."""
    import pyarrow as pa

    # `pa.table` would import pandas to see whether it is one of its frames.
    table = raw.read() if isinstance(raw, StoredTable) else pa.RecordBatchReader.from_stream(raw).read_all()
    schema = table_schema(name)
    found = {field.name: _TEXT.get(str(field.type), str(field.type)) for field in table.schema}
    expected = {field.name: str(field.type) for field in schema}
    if list(found.items()) != list(expected.items()):
        wrong = [
            f"{column} is {found.get(column, 'absent')}, expected {kind}"
            for column, kind in expected.items()
            if found.get(column) != kind
        ]
        wrong += [f"{column} is unknown" for column in found if column not in expected]
        what = "; ".join(wrong) or f"its columns are in the order {list(found)}"
        message = f"table {name} does not have its schema ({what}); it was written by another version"
        raise ResultsError(message)
    return table if table.schema.equals(schema) else table.cast(schema)
