"""The fixtures, and that pytest has them without being told."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import attrs
import pytest

from ml4t.backtest import Strategy, run
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.errors import ModelError, PluginError, UnknownNameError
from ml4t.core.models import SlippageArgs, SlippageOut
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.testing import Project
from ml4t.testing.draws import bars
from ml4t.testing.market import feed_of

PLUGIN = """
import attrs

from ml4t.core import ModelSpec, hookimpl
from ml4t.core.models import SlippageOut

ml4t_hook_api = ">=1.0,<2"


@attrs.frozen
class Cents:
    cents: float = 1.0

    def evaluate(self, ctx):
        if ctx.quantity > 500:
            raise RuntimeError("too much for this model")
        return SlippageOut(price_adjustment=self.cents / 100)


@hookimpl
def ml4t_register_models():
    return [ModelSpec("slippage", "Cents", "ml4t_desk.plugin:Cents")]
"""


class Desk:
    @hookimpl
    def ml4t_register_models(self) -> list[ModelSpec]:
        return [ModelSpec("slippage", "Fixed", "ml4t.slippage.fixed_fraction:FixedFraction")]  # type: ignore[arg-type]


@attrs.frozen
class Raises:
    """Raises what no model should."""

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        raise KeyError(ctx.quantity)


def test_the_manager_knows_nothing_of_the_environment(ml4t_plugins: PluginManager) -> None:
    assert ml4t_plugins.registry() == ()
    assert {info.status for info in ml4t_plugins.infos} == {"blocked"}
    with pytest.raises(UnknownNameError):
        ml4t_plugins.find("slippage", "FixedFraction")
    assert load_plugins().find("slippage", "FixedFraction")


def test_what_a_test_registers_is_found_and_what_breaks_raises(ml4t_plugins: PluginManager) -> None:
    ml4t_plugins.register(Desk(), "desk")
    assert ml4t_plugins.find("slippage", "Fixed").qualified == "desk:Fixed"

    class Broken:
        @hookimpl
        def ml4t_register_models(self) -> int:
            return 3

    ml4t_plugins.register(Broken(), "broken")
    with pytest.raises(PluginError, match="must return a list of ModelSpec, found 3"):
        ml4t_plugins.registry()


def test_one_manager_does_not_see_what_another_test_registered(ml4t_plugins: PluginManager) -> None:
    assert not ml4t_plugins.has_plugin("desk")


class Buys(Strategy):
    """Buys once."""

    def on_data(self, timestamp: object, data: object, context: object, broker: object) -> None:
        self.broker.buy("ABC", 1)


def test_whatever_a_model_in_python_raises_is_a_model_error_that_names_it() -> None:
    with pytest.raises(ModelError, match=r"model Raises.*ABC.*KeyError"):
        run(Buys, feed_of(bars(1)), models={"slippage": Raises()})


def test_a_project_runs_and_returns_its_results(ml4t_project: Project) -> None:
    ml4t_project.add_plugin("desk", "ml4t_desk.plugin", source=PLUGIN)
    slippage = {"type": "Cents", "cents": 2}
    ran = ml4t_project.run({"broker": {"slippage_model": slippage}, "backtest": {"end_date": "2004-01-30"}})
    assert ran.results is not None
    assert ran.results.fills["slippage"].unique().to_list() == [0.02]
    assert set(ran.results.fills["symbol"]) == {"AAPL", "IBM"}
    (model,) = [each for each in ran.results.manifest["models"] if each["kind"] == "slippage"]
    assert (model["plugin"], model["distribution"], model["version"]) == ("desk", "ml4t-desk", "0.1.0")
    # A plugin of the project is blocked like any other.
    ran = ml4t_project.run("backtest.yaml", check=False, env={"ML4T_BLOCK_PLUGINS": "desk"})
    assert ran.returncode == 1
    assert ran.results is None
    assert "unknown slippage 'Cents'" in ran.stderr


def test_a_project_that_fails_says_what_it_printed(ml4t_project: Project) -> None:
    ml4t_project.add_plugin("desk", "ml4t_desk.plugin", source=PLUGIN)
    config = {"broker": {"slippage_model": {"type": "Cents"}}}
    source = ml4t_project.write("strategy.py", "from ml4t.backtest import Strategy\n")
    with pytest.raises(RuntimeError, match=r"(?s)ended with 1:.*unknown strategy in strategy.py 'InAndOut'"):
        ml4t_project.run(config)
    source.write_text(
        "from ml4t.backtest import Strategy\n\n\nclass InAndOut(Strategy):\n"
        "    def on_data(self, timestamp, data, context, broker):\n        broker.buy('IBM', 600)\n"
    )
    ran = ml4t_project.run(config, check=False)
    assert ran.returncode == 1
    assert "Cents" in ran.stdout + ran.stderr
    assert "too much for this model" in ran.stdout + ran.stderr


def test_pytest_finds_the_fixtures_by_the_entry_point_and_imports_no_kernel_for_them(tmp_path: Path) -> None:
    (entry,) = [each for each in metadata.entry_points(group="pytest11") if each.name == "ml4t"]
    assert entry.value == "ml4t.testing.fixtures"
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n\ndef test_nothing_heavy_was_loaded():\n"
        "    assert not {'ml4t.core', 'ml4t.backtest', 'polars', 'numba'} & set(sys.modules)\n\n\n"
        "def test_the_fixture_is_there(ml4t_plugins):\n    assert ml4t_plugins.registry() == ()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-c",
        "/dev/null",
        ".",
    ]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in found.stdout, found.stdout + found.stderr


def test_the_example_of_the_readme_fails_in_one_test_and_says_what_to_do(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    block = text.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "test_it.py").write_text(block)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-c",
        "/dev/null",
        ".",
    ]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed" in found.stdout, found.stdout + found.stderr
    assert "HalfTick answered SlippageOut(price_adjustment=nan" in found.stdout
    assert "What to do: answer finite numbers; where an input is missing raise ModelError" in found.stdout
