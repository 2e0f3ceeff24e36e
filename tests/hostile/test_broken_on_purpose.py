"""Plugins and installations that are broken on purpose: eighteen ways, each in a real distribution.

Each time the process lives and runs a sound backtest after the broken one, the message names whose fault it
is, and `ml4t doctor` explains it. The page `how-to/fix-a-plugin` quotes the first words of each message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import ml4t

from .broken import MODEL, PLUGIN, ROOT, Site, Told, deep

PLUGIN_1_2 = "plugin 'odd' of ml4t-odd 1.2"
IN_A_RUN = ("XYZ", "2024-01-03T14:30:00Z", "slippage model odd:Deep", "plugin odd, distribution ml4t-odd 1.2")
FIX = "fix: upgrade ml4t-odd, or block it with ML4T_BLOCK_PLUGINS=ml4t-odd"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a folder for distributions, empty."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    """Return what the page says are the first words of each message, by the number of the case."""
    text = (ROOT / "docs/how-to/fix-a-plugin.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+[a-c]?) \|[^|]*\| `([^`]+)` \|", text, re.MULTILINE)
    found = dict(rows)
    assert len(found) == len(rows), "a number stands in one row"
    return found


@attrs.frozen
class Case:
    """A broken distribution, what a run that names its model says, and what `ml4t doctor` does."""

    install: Callable[[Site], None]
    message: tuple[str, ...]
    doctor: tuple[str, ...]
    config: Mapping[str, Any] = attrs.field(factory=deep)
    status: int = 1


def odd(plugin: tuple[str, str] = ("", ""), model: tuple[str, str] = ("", "")) -> Callable[[Site], None]:
    """Return what installs `ml4t-odd` with one text of its plugin or its model replaced."""
    return lambda site: site.odd(PLUGIN.replace(*plugin), MODEL.replace(*model))


def native(symbol: str, language: str = "c") -> Callable[[Site], None]:
    """Return what installs `ml4t-odd` with a table of a library."""
    return lambda site: site.native(symbol, language)


def two_plugins(site: Site) -> None:
    """Install a second plugin that offers a model of the same name."""
    site.odd()
    site.install(
        "ml4t-other",
        version="0.3",
        entries={"other": "ml4t_other_plugin"},
        files={"ml4t_other_plugin.py": PLUGIN},
    )


CASES = {
    "1": Case(  # import error
        lambda site: site.odd("import nowhere_at_all"),
        ("'odd:Deep'", f"{PLUGIN_1_2}: failed, ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (f"WRONG plugin odd: {PLUGIN_1_2}", "No module named 'nowhere_at_all'", FIX),
    ),
    "2": Case(  # missing attribute
        odd(model=("class Deep", "class Shallow")),
        ("'odd:Deep' of ml4t-odd 1.2", "module 'ml4t_odd_models' has no attribute 'Deep'"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "has no attribute 'Deep'", FIX),
    ),
    "3": Case(  # wrong major version of the native interface
        native("wrong_major"),
        ("native interface 9.0", "plugin odd, distribution ml4t-odd 1.2"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "built for native interface 9.0", FIX),
    ),
    "4": Case(  # context too large
        native("large_context"),
        ("a context of 4000 bytes", "the engine has to be newer", "plugin odd, distribution ml4t-odd 1.2"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "a context of 4000 bytes", FIX),
    ),
    "5": Case(  # ambiguous short name: nothing is broken, so that doctor only tells of it
        two_plugins,
        ("odd:Deep and other:Deep", "write one of them in full"),
        ("slippage 'Deep' is ambiguous between odd:Deep of ml4t-odd 1.2 and other:Deep of ml4t-other 0.3",),
        config={"broker": {"slippage_model": {"type": "Deep"}}},
        status=0,
    ),
    "6": Case(  # two specs with one qualified name
        odd(("return [", 'return [ModelSpec("slippage", "Deep", "ml4t_odd_models:Other"), ')),
        (PLUGIN_1_2, "two specs of kind slippage named 'odd:Deep'"),
        (f"WRONG plugin odd: {PLUGIN_1_2}", "two specs of kind slippage named 'odd:Deep'", FIX),
    ),
    "7a": Case(  # wrong schema: parameters that the model does not have; nothing is broken without a file
        odd(),
        ("'rate'", "[plugin odd of ml4t-odd 1.2]"),
        (f"models of odd: {PLUGIN_1_2}: 1 tried",),
        config=deep(rat=0.1),
        status=0,
    ),
    "7b": Case(  # wrong schema: a class that declares no parameters
        odd(model=("@attrs.frozen", "")),
        ("'odd:Deep'", "ml4t_odd_models.Deep", "must be an attrs class with a method evaluate(ctx)"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "must be an attrs class", FIX),
    ),
    "7c": Case(  # wrong schema: parameters that a newer version of the plugin wrote
        odd(),
        ("'odd:Deep'", "ml4t-odd 1.2", "has schema 1, and these parameters are of schema 2"),
        (f"models of odd: {PLUGIN_1_2}: 1 tried",),
        config=deep(schema_version=2),
        status=0,
    ),
    "8": Case(  # evaluate raises
        odd(model=("return ", "raise LookupError('no such depth')\n            return ")),
        (*IN_A_RUN, "LookupError: no such depth"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "LookupError: no such depth", FIX),
    ),
    "9": Case(  # panic of Rust
        native("panic", "rust"),
        (*IN_A_RUN, "panicked at", "odd.rs", "a quantity of 1 is too deep"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "is too deep", FIX),
    ),
    "10a": Case(  # NaN of a library
        native("nan"),
        (*IN_A_RUN, "Deep version 3.1", "NaN", "must be finite"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "adjustment NaN", FIX),
    ),
    "10b": Case(  # NaN of Python
        odd(model=("self.rate", "float('nan')")),
        (*IN_A_RUN, "NaN", "must be finite"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "adjustment NaN", FIX),
    ),
    "11": Case(  # error code without text
        native("failing"),
        (*IN_A_RUN, "Deep version 3.1", "it answered status -7 and said nothing"),
        (f"models of odd: {PLUGIN_1_2}", "'odd:Deep'", "status -7 and said nothing", FIX),
    ),
    "12": Case(  # hook with a wrong signature
        odd(("ml4t_register_models()", "ml4t_register_models(patient)")),
        ("'odd:Deep'", PLUGIN_1_2, "ml4t_register_models(patient)", "can not be found in the hookspec"),
        (f"WRONG plugin odd: {PLUGIN_1_2}", "ml4t_register_models(patient)", FIX),
    ),
}


def begins(told: Told, words: str) -> None:
    """Fail unless a line begins with these words."""
    assert any(line.startswith(words) for line in told.lines), f"no line begins with {words!r}:\n{told.text}"


@pytest.mark.parametrize("number", CASES)
def test_a_broken_plugin_costs_one_run_is_named_and_explained(
    number: str, site: Site, page: dict[str, str]
) -> None:
    case = CASES[number]
    case.install(site)
    told = site.backtest(case.config)
    told.names(*case.message)
    assert "NO ERROR" not in told.text
    begins(told, page[number])
    doctor = site.doctor()
    doctor.names(*case.doctor)
    assert doctor.status == case.status, doctor.text


@pytest.mark.parametrize("number", ["3", "8", "9"])
def test_the_command_line_names_the_plugin_of_a_broken_model_and_goes_on(number: str, site: Site) -> None:
    CASES[number].install(site)
    broken, sound = site.config("broken"), site.config("sound", model="NoSlippage")
    told = site.commands(["run", str(broken), "--no-report"], ["run", str(sound), "--no-report", "--quiet"])
    told.names(*CASES[number].message, "STATUS: 1", "STATUS: 0")


@pytest.mark.parametrize(("number", "wrong"), [("5", "Deep"), ("7a", 'odd:Deep", rat = "0.1')])
def test_doctor_explains_what_is_wrong_with_a_configuration(
    number: str, wrong: str, site: Site, page: dict[str, str]
) -> None:
    CASES[number].install(site)
    told = site.doctor_of(site.config("broken", model=wrong))
    told.names("WRONG engine: config broken.toml: ", page[number], *CASES[number].message)
    assert told.status == 1
    assert site.doctor_of(site.config("sound")).status == 0


@pytest.mark.parametrize(
    ("change", "parts", "status"),
    [
        (
            ("@attrs.frozen", "@attrs.define"),
            ["'odd:Deep': slippage model Deep(rate=0.001) can change", "clone()"],
            1,
        ),
        (("import attrs", "raise SystemExit('gone')"), ["slippage model 'odd:Deep': SystemExit: gone"], 1),
        (("rate: float = 0.001", "rate: float"), ["0 tried; not tried: Deep (no default for rate)"], 0),
        (("return ", "return ctx.no_such_field or "), ["'odd:Deep'", "AttributeError", "no_such_field"], 1),
        (
            ("return SlippageOut", "return abs"),
            ["'odd:Deep'", "evaluate answered", "expected SlippageOut"],
            1,
        ),
    ],
)
def test_doctor_tries_models_as_a_run_would(
    change: tuple[str, str], parts: list[str], status: int, site: Site
) -> None:
    odd(model=change)(site)
    doctor = site.doctor()
    doctor.names(f"models of odd: {PLUGIN_1_2}", *parts)
    assert doctor.status == status, doctor.text


# -- plugins that are blocked --------------------------------------------------------------------------------


def blocked(site: Site, told: Told, doctor: Told, *, words: str, by: str) -> None:
    """Check that a plugin was not imported, that what needs it says so, and that doctor is content."""
    begins(told, words)
    told.names("'odd:Deep'", f"{PLUGIN_1_2}: blocked", by)
    assert not site.is_imported
    doctor.names(f"ok    plugin odd: {PLUGIN_1_2}: blocked", by)
    assert doctor.status == 0, doctor.text


def test_a_plugin_blocked_by_the_environment_is_not_imported(site: Site, page: dict[str, str]) -> None:
    site.odd()
    told = site.backtest(deep(), ML4T_BLOCK_PLUGINS="odd")
    doctor = site.doctor(ML4T_BLOCK_PLUGINS="odd")
    blocked(site, told, doctor, words=page["13"], by="blocked by ML4T_BLOCK_PLUGINS")


def test_a_plugin_blocked_by_a_flag_is_not_imported(site: Site, page: dict[str, str]) -> None:
    site.odd()
    broken, sound = site.config("broken"), site.config("sound", model="NoSlippage")
    told = site.commands(
        ["-p", "no:odd", "run", str(broken), "--no-report"],
        ["-p", "no:odd", "run", str(sound), "--no-report", "--quiet"],
    )
    told.names("STATUS: 1", "STATUS: 0")
    stripped = Told(re.sub(r"^.*Error: \S+\.toml: ", "", told.text, flags=re.MULTILINE), told.status)
    blocked(site, stripped, site.doctor("-p", "no:odd"), words=page["14"], by="blocked by -p no:")


def test_a_plugin_blocked_by_a_configuration_is_not_imported(site: Site, page: dict[str, str]) -> None:
    site.odd()
    section = {"backtest": {"blocked_plugins": ["ml4t_odd"]}}
    told = site.backtest(deep() | section, sound=section)
    more = 'blocked_plugins = ["ml4t_odd"]'
    broken, sound = site.config("broken", more=more), site.config("sound", model="NoSlippage", more=more)
    commands = site.commands(
        ["run", str(broken), "--no-report"], ["run", str(sound), "--no-report", "--quiet"]
    )
    commands.names(f"{PLUGIN_1_2}: blocked, blocked by backtest.blocked_plugins", "STATUS: 1", "STATUS: 0")
    doctor = site.doctor_of(sound)
    blocked(site, told, doctor, words=page["15"], by="blocked by backtest.blocked_plugins")
    wrong = site.doctor_of(broken)
    wrong.names("WRONG engine: config broken.toml", "'odd:Deep' needs", "blocked by backtest.blocked_plugins")
    assert wrong.status == 1
    assert not site.is_imported


def test_a_configuration_wins_over_a_flag_that_asks_for_the_plugin(site: Site) -> None:
    site.odd()
    sound = site.config("sound", model="NoSlippage", more='blocked_plugins = ["odd"]')
    site.commands(["-p", "odd", "run", str(sound), "--no-report", "--quiet"]).names("STATUS: 0")
    assert not site.is_imported


def test_a_run_is_refused_when_what_its_configuration_blocks_is_loaded_already(site: Site) -> None:
    site.odd()
    program = (
        "import json, sys\n"
        "from ml4t.backtest import DataFeed, Engine, Strategy, datasets\n"
        "from ml4t.core.plugins import load_plugins\n"
        "feed = DataFeed(datasets.us_equity_daily(), stamp='session', symbols=['IBM'])\n"
        "config = {'backtest': {'blocked_plugins': ['odd', 'ml4t-absent']}}\n"
        "for plugins in (load_plugins(), load_plugins(unwanted=['odd', 'ml4t-absent'])):\n"
        "    try:\n"
        "        print(Engine(feed, Strategy, config=config, plugins=plugins).run().status)\n"
        "    except Exception as error:\n"
        "        print(error)\n"
    )
    told = site.python(program)
    told.names(f"backtest.blocked_plugins[0]: {PLUGIN_1_2}: active; give this run plugins without it")
    assert told.lines[-1] == "complete", told.text


# -- installations -------------------------------------------------------------------------------------------


def test_a_required_plugin_that_is_absent_stops_the_run(site: Site, page: dict[str, str]) -> None:
    told = site.backtest({"backtest": {"required_plugins": ["ml4t-odd>=1.2"]}})
    begins(told, page["16"])
    told.names("ml4t-odd is not installed", "pip install 'ml4t-odd>=1.2'")
    broken = site.config("broken", model="NoSlippage", more='required_plugins = ["ml4t-odd>=1.2"]')
    doctor = site.doctor_of(broken)
    doctor.names("WRONG engine: config broken.toml", page["16"], "pip install 'ml4t-odd>=1.2'")
    assert doctor.status == 1


def test_a_required_plugin_that_is_too_old_stops_the_run(site: Site) -> None:
    site.odd()
    told = site.backtest({"backtest": {"required_plugins": ["ml4t-odd>=2"]}})
    told.names("backtest.required_plugins[0]: ml4t-odd>=2 is required, ml4t-odd 1.2 is installed")


def test_a_foreign_package_that_owns_the_namespace_is_named(site: Site, page: dict[str, str]) -> None:
    # As wheels install it: all parts in one folder, so that they can still be imported.
    parts = [part for folder in ml4t.__path__ for part in Path(folder).iterdir() if part.is_dir()]
    (site.folder / "ml4t").mkdir()
    for part in parts:
        if part.name != "__pycache__":
            (site.folder / "ml4t" / part.name).symlink_to(part)
    site.install("intruder", version="3.1", entries={}, files={"ml4t/__init__.py": ""})
    site.backtest({}).names("NO ERROR: complete")
    doctor = site.doctor()
    begins(doctor, page["17a"])
    doctor.names("of intruder 3.1 occupies the namespace", "ml4t/__init__.py", "fix: uninstall intruder 3.1")
    assert doctor.status == 1


def test_a_foreign_package_in_another_folder_hides_all_parts(site: Site, page: dict[str, str]) -> None:
    site.install("intruder", version="3.1", entries={}, files={"ml4t/__init__.py": ""})
    told = site.backtest({}, without=True)
    begins(told, page["17b"])
    # The command of the page: nothing of ours can be imported to tell.
    where = site.python("import ml4t; print(ml4t.__file__)")
    assert where.text.strip() == str(site.folder / "ml4t/__init__.py")


def test_versions_of_core_and_engine_that_differ_are_named(site: Site, page: dict[str, str]) -> None:
    site.install("ml4t-core", version="9.9", entries={})
    told = site.backtest({}, without=True)
    begins(told, page["18"])
    told.names("ml4t-engine ", "found 9.9", "pip install")
    doctor = site.doctor()
    doctor.names(
        "WRONG ml4t: ",
        "ml4t-core 9.9",
        "fix: install core and engine of one version",
        "WRONG plugin engine: plugin 'engine' of ml4t-engine",
        "needs ml4t-core of the same version, found 9.9",
    )
    assert doctor.status == 1


def test_the_page_has_a_row_for_every_case(page: dict[str, str]) -> None:
    numbers = {re.sub(r"\D", "", number) for number in page}
    assert numbers == {str(number) for number in range(1, 19)}
    assert set(CASES) | {"13", "14", "15", "16", "17a", "17b", "18"} == set(page)
