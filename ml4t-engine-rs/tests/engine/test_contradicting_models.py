"""Models of margin and of liquidation that do not go together, or with what else bounds the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml4t.core.config import RunConfig, load_config
from ml4t.core.errors import ConfigError
from ml4t.engine.portfolio_models import refuse_contradictions


class Margin:
    """Tests a portfolio."""


class AtPrice:
    """Closes a position where its price takes the margin."""

    liquidates_at_price = True


class Liquidation:
    """Closes by orders."""


def faults(broker: dict[str, Any], **models: object) -> dict[str, str]:
    with pytest.raises(ConfigError) as refused:
        refuse_contradictions(load_config({"broker": broker}), models)
    return {finding.path: finding.message for finding in refused.value.findings}


# What is configured and what is given as an object are checked alike, as models.
@pytest.mark.parametrize("beside", [{}, {"margin_model": {"type": "Margin"}}])
def test_leverage_and_buying_power_do_not_bound_an_account_with_margin(beside: dict[str, Any]) -> None:
    assert faults({"leverage": 2, **beside}, margin=Margin()) == {
        "broker.leverage": "leverage and a margin model both bound the account; drop one"
    }
    assert faults({"buying_power": "cash", **beside}, margin=Margin()) == {
        "broker.buying_power": (
            "expected 'equity' beside a margin model, which bounds the account, found 'cash'"
        )
    }


def test_faults_have_the_line_of_the_file_and_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        '[broker]\nleverage = 2\nliquidation_model = { type = "Liquidation" }\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError) as refused:
        refuse_contradictions(load_config(path), {"margin": AtPrice(), "liquidation": Liquidation()})
    assert {finding.path: finding.line for finding in refused.value.findings} == {
        "broker.leverage": 2,
        "broker.liquidation_model": 3,
    }


def test_a_liquidation_model_needs_a_margin_model_that_calls() -> None:
    found = faults({}, liquidation=Liquidation())["broker.liquidation_model"]
    assert found.startswith("Liquidation closes what a margin model calls for, and there is none")
    found = faults({}, margin=AtPrice(), liquidation=Liquidation())["broker.liquidation_model"]
    assert found.startswith(
        "AtPrice closes a position where its price takes the margin, and Liquidation would"
    )


@pytest.mark.parametrize(
    "models",
    [{}, {"margin": Margin()}, {"margin": AtPrice()}, {"margin": Margin(), "liquidation": Liquidation()}],
)
def test_models_that_go_together_pass(models: dict[str, object]) -> None:
    refuse_contradictions(RunConfig(), models)


def test_without_a_margin_model_leverage_and_buying_power_are_free() -> None:
    for broker in ({"leverage": 2}, {"buying_power": "cash"}):
        refuse_contradictions(load_config({"broker": broker}), {})
