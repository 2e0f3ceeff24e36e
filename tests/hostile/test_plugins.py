"""Plugins that cannot be imported, break a hook or raise in a run: told of once, and nothing else breaks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import Engine
from ml4t.core import hookimpl
from ml4t.core.errors import ConfigError, PluginError, PluginWarning
from ml4t.core.plugins import PluginManager, load_plugins

from .inputs import COMMAND, Buys, by_session, daily, refused, run, tables

Install = Callable[[str], None]
HEAD = "from ml4t.core import ModelSpec, hookimpl\nfrom ml4t.core.types import ModelKind\n"
WITHOUT_TARGET = HEAD + textwrap.dedent(
    """
    @hookimpl
    def ml4t_register_models():
        return [ModelSpec(ModelKind.SLIPPAGE, "Deep", "nowhere_at_all:Deep")]
    """
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs the distribution `ml4t-odd` with its plugin `odd`, for one test."""
    monkeypatch.setenv("ML4T_STRICT_PLUGINS", "0")
    monkeypatch.delenv("ML4T_PLUGINS", raising=False)

    def write(source: str) -> None:
        site = tmp_path / "site"
        info = site / "ml4t_odd-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ml4t-odd\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[ml4t]\nodd = ml4t_odd_plugin\n")
        (site / "ml4t_odd_plugin.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))

    yield write
    sys.modules.pop("ml4t_odd_plugin", None)


BROKEN: dict[str, tuple[str, str]] = {
    "a missing library": ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    "an error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "no Python": ("def broken(:", "SyntaxError"),
    "another version": ("ml4t_hook_api = '>=99'", "it needs hook API '>=99'"),
    "a hook that is none": (
        f"{HEAD}@hookimpl\ndef ml4t_regster_models(): ...",
        "ml4t_regster_models is no hook; the nearest is",
    ),
    "a hook without its mark": ("def ml4t_register_models(): ...", "not marked with @hookimpl"),
    "an answer that is none": (
        f"{HEAD}@hookimpl\ndef ml4t_register_models(): return [3]",
        "list of ModelSpec, found 3",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_told_of_and_costs_no_run(what: str, install: Install) -> None:
    source, reason = BROKEN[what]
    clean = tables(run(by_session(daily())))
    install(source)
    with pytest.warns(PluginWarning, match="see `ml4t plugins --failed`") as warned:
        results = run(by_session(daily()))
    (warning,) = warned
    for part in ("plugin 'odd' of ml4t-odd 1.2", reason):
        assert part in str(warning.message)
    assert all(tables(results)[name].equals(table) for name, table in clean.items())


@pytest.mark.filterwarnings("ignore::ml4t.core.errors.PluginWarning")
def test_a_model_of_a_plugin_that_cannot_be_loaded_is_refused_with_the_reason(install: Install) -> None:
    install("import nowhere_at_all")
    config = {"broker": {"slippage_model": {"type": "odd:Deep"}}}
    parts = [
        "broker.slippage_model.type",
        "'odd:Deep' needs plugin 'odd' of ml4t-odd 1.2",
        "'nowhere_at_all'",
    ]
    with refused(ConfigError, *parts):
        run(by_session(daily()), config=config)


@pytest.mark.filterwarnings("ignore::ml4t.core.errors.PluginWarning")
def test_an_unknown_model_names_the_plugin_that_was_not_loaded(install: Install) -> None:
    install("import nowhere_at_all")
    with refused(ConfigError, "'Deep'", "perhaps what is missing", "ml4t-odd"):
        run(by_session(daily()), config={"broker": {"slippage_model": {"type": "Deep"}}})


def test_a_model_whose_module_is_missing_is_refused_with_its_distribution(install: Install) -> None:
    install(WITHOUT_TARGET)
    parts = [
        "broker.slippage_model.type",
        "'odd:Deep' of ml4t-odd 1.2",
        "cannot import 'nowhere_at_all:Deep'",
    ]
    with refused(ConfigError, *parts):
        run(by_session(daily()), config={"broker": {"slippage_model": {"type": "Deep"}}})
    assert run(by_session(daily())).status == "complete", "what nobody asked for is not imported"


def test_where_failures_are_strict_a_broken_plugin_is_an_error(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("import nowhere_at_all")
    monkeypatch.setenv("ML4T_STRICT_PLUGINS", "1")
    with refused(PluginError, "plugin 'odd' of ml4t-odd 1.2", "nowhere_at_all"):
        run(by_session(daily()))
    monkeypatch.setenv("ML4T_STRICT_PLUGINS", "0")
    monkeypatch.setenv("ML4T_BLOCK_PLUGINS", "odd")
    assert run(by_session(daily())).status == "complete", "what is blocked is not imported"


def test_a_required_plugin_that_cannot_be_loaded_is_refused_before_the_run(install: Install) -> None:
    install("import nowhere_at_all")
    with pytest.warns(PluginWarning), refused(ConfigError, "ml4t-odd>=1 is required", "nowhere_at_all"):
        run(by_session(daily()), config={"backtest": {"required_plugins": ["ml4t-odd>=1"]}})


def test_the_command_line_warns_of_a_broken_plugin_and_shows_its_traceback_when_asked(
    install: Install,
) -> None:
    install("import nowhere_at_all")
    listed = subprocess.run([*COMMAND, "plugins", "--failed"], capture_output=True, text=True, check=True)
    assert "odd: ModuleNotFoundError: No module named 'nowhere_at_all'" in listed.stdout
    assert "Traceback" in listed.stdout
    doctor = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, check=False)
    assert doctor.returncode == 1
    assert "block it with ML4T_BLOCK_PLUGINS=ml4t-odd" in doctor.stdout


# --------------------------------------------------------------------------- hooks that raise in a run


def manager_of(**hooks: Callable[..., Any]) -> PluginManager:
    """Return the plugins of the environment and one more, `odd`, with these hooks."""
    manager = load_plugins()
    members = {f"ml4t_{name}": staticmethod(hookimpl(hook)) for name, hook in hooks.items()}
    manager.register(type("Odd", (), members)(), "odd")
    return manager


def halt(run: Any) -> None:  # noqa: ANN401 - as the hook
    message = "trading is halted"
    raise ValueError(message)


def no_mapping(run: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as the hook
    return 3  # type: ignore[return-value]


def lose_network(run: Any, result: Any) -> None:  # noqa: ANN401 - as the hook
    message = "no network"
    raise OSError(message)


def lose_network_again(run: Any, exc: BaseException) -> None:  # noqa: ANN401 - as the hook
    message = "no network"
    raise OSError(message)


@pytest.mark.parametrize(
    ("hooks", "parts"),
    [
        ({"before_run": halt}, ["'odd' stopped the run in ml4t_before_run", "trading is halted"]),
        ({"manifest": halt}, ["'odd' failed in ml4t_manifest", "trading is halted"]),
        ({"manifest": no_mapping}, ["'odd'", "ml4t_manifest must return a mapping, found 3"]),
    ],
)
def test_a_hook_that_fails_before_the_run_stops_it_before_anything_is_computed(
    hooks: dict[str, Callable[..., Any]], parts: list[str]
) -> None:
    called: list[int] = []

    class Counts(Buys):
        def on_data(self, *arguments: Any) -> None:  # noqa: ANN401
            called.append(1)

    engine = Engine(by_session(daily()), Counts, plugins=manager_of(**hooks))
    with refused(PluginError, *parts):
        engine.run()
    assert not called
    assert engine.results is None


def test_a_hook_that_fails_after_the_run_costs_no_results() -> None:
    engine = Engine(by_session(daily()), Buys, plugins=manager_of(after_run=lose_network))
    with pytest.warns(
        RuntimeWarning, match="'odd' failed in ml4t_after_run.*no network.*results are complete"
    ):
        assert engine.run().fills.height == 3


def test_a_hook_that_fails_on_an_error_hides_neither_the_error_nor_the_results() -> None:
    class Fails(Buys):
        def on_stop(self) -> None:
            message = "no such luck"
            raise LookupError(message)

    engine = Engine(by_session(daily()), Fails, plugins=manager_of(on_run_error=lose_network_again))
    with refused(LookupError, "no such luck", "'odd' failed in ml4t_on_run_error", "no network"):
        engine.run()
    assert engine.results is not None
    assert engine.results.fills.height == 3
