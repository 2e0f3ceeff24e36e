"""Both engines give the same tables, exactly, on random markets, accounts and scripts.

The reference engine was written from the documents alone. Where the two differ, one of them does not do what
the documents say, or the documents leave it open. A failing case prints the first row that differs and the
case itself; `@reproduce_failure` and the database of hypothesis bring it back.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, note, settings

from ml4t.core.plugins import PluginManager, load_plugins

from .markets import Case, cases, difference, tables_of
from .prints import cases_with_prints

# Over the five kinds of data: 2,000 cases in `nox -s tests`, 25,000 in `nox -s soak`.
CHECKS = settings(
    deadline=None,
    max_examples=max(400, settings.default.max_examples),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    """Return the plugins of the environment, loaded once."""
    return load_plugins()


def compare(case: Case, plugins: PluginManager) -> None:
    native = tables_of(case, "rust", plugins)
    reference = tables_of(case, "reference", plugins)
    note(f"{case}")
    assert difference(native, reference) == ""


@CHECKS
@given(case=cases("day"))
def test_the_engines_agree_on_daily_bars(plugins: PluginManager, case: Case) -> None:
    compare(case, plugins)


@CHECKS
@given(case=cases("hour"))
def test_the_engines_agree_on_bars_within_sessions(plugins: PluginManager, case: Case) -> None:
    compare(case, plugins)


@CHECKS
@given(case=cases("quote"))
def test_the_engines_agree_on_quotes(plugins: PluginManager, case: Case) -> None:
    compare(case, plugins)


@CHECKS
@given(case=cases("trade"))
def test_the_engines_agree_on_prints(plugins: PluginManager, case: Case) -> None:
    compare(case, plugins)


@CHECKS
@given(case=cases_with_prints())
def test_the_engines_agree_on_quotes_with_prints(plugins: PluginManager, case: Case) -> None:
    compare(case, plugins)
