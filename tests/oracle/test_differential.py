"""Both engines give the same tables, exactly, on random markets, accounts and scripts.

The reference engine was written from the documents alone. Where the two differ, one of them does not do what
the documents say, or the documents leave it open. A failing case prints the first row that differs and the
case itself; `@reproduce_failure` brings it back. Over the five kinds of data, breaks and two kinds of impact
there are 640 cases in `nox -s tests`, 64,000 in `nox -s soak`.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core.plugins import PluginManager

from .agreement import agreed
from .breaks import hours_of
from .costs import impacts_for
from .counts import random_cases
from .markets import Case, cases
from .prints import cases_with_prints


@random_cases(50)
@given(case=cases("day"))
def test_the_engines_agree_on_daily_bars(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@random_cases(50)
@given(case=cases("hour"))
def test_the_engines_agree_on_bars_within_sessions(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@random_cases(50)
@given(case=cases("quote"))
def test_the_engines_agree_on_quotes(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@random_cases(50)
@given(case=cases("trade"))
def test_the_engines_agree_on_prints(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@random_cases(50)
@given(case=cases_with_prints())
def test_the_engines_agree_on_quotes_with_prints(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@st.composite
def cases_around_breaks(draw: st.DrawFn) -> Case:
    """Draw a case of a calendar whose trading rests among its data."""
    kind = draw(st.sampled_from(["hour", "quote", "trade", "prints"]))
    impacts = impacts_for(kind, powers=False) if kind != "prints" and draw(st.booleans()) else None
    case = draw(cases_with_prints() if kind == "prints" else cases(kind, impacts=impacts))
    return attrs.evolve(case, hours=draw(hours_of(kind)))


@random_cases(50)
@given(case=cases_around_breaks())
def test_the_engines_agree_around_breaks(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@st.composite
def cases_with_impact(draw: st.DrawFn, *, powers: bool) -> Case:
    """Draw a case with an impact model; where there are powers, both engines ask its Python form."""
    kind = draw(st.sampled_from(["day", "day", "hour", "quote", "trade"]))
    case = draw(cases(kind, impacts=impacts_for(kind, powers=powers)))
    return attrs.evolve(case, native="never" if powers else "prefer")


@random_cases(50)
@given(case=cases_with_impact(powers=False))
def test_the_engines_agree_on_impact(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)


@random_cases(50)
@given(case=cases_with_impact(powers=True))
def test_the_engines_agree_on_impact_that_is_a_power_or_decays(plugins: PluginManager, case: Case) -> None:
    agreed(case, plugins)
