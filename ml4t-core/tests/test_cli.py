"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ml4t.core

if TYPE_CHECKING:
    from conftest import Site

ACME = """
    import attrs

    @attrs.frozen
    class Flat:
        amount: float = 1.0

        def evaluate(self, ctx): ...

    @hookimpl
    def ml4t_register_models():
        return [
            ModelSpec("fee", "Flat", "ml4t_acme:Flat", summary="one amount"),
            ModelSpec("slippage", "Fast", "ml4t_acme:Flat", native="builtin"),
        ]

    @hookimpl
    def ml4t_register_reporters():
        return [ReporterSpec("Page", "ml4t_acme:Flat", formats=("html",))]
"""
HELLO = """
    @hookimpl
    def ml4t_register_commands(cli):
        import click

        @cli.command("hello")
        @click.pass_context
        def hello(ctx):
            from ml4t.core.cli import plugins_of
            click.echo("hello from " + ",".join(info.name for info in plugins_of(ctx).infos))
"""


@pytest.fixture
def crowd(site: Site) -> Site:
    site.plugin("acme", ACME, version="0.4")
    site.plugin("broken", "raise RuntimeError('no such library')")
    site.plugin("future", "ml4t_hook_api = '>=9'")
    site.plugin("mute", "")
    return site


def test_the_version_is_that_of_the_kernel(site: Site) -> None:
    assert site.ml4t("--version").stdout.strip() == f"ml4t, version {ml4t.core.__version__}"


def test_plugins_lists_what_is_active_and_counts_the_rest(crowd: Site) -> None:
    finished = crowd.ml4t("plugins", ML4T_BLOCK_PLUGINS="mute")
    assert finished.returncode == 0
    assert "fee Flat (python), slippage Fast (builtin), reporter Page" in finished.stdout
    assert "ml4t-acme" in finished.stdout
    assert "0.4" in finished.stdout
    assert "not shown: 1 blocked, 1 failed, 1 incompatible" in finished.stdout
    assert "no such library" not in finished.stdout
    assert finished.stderr == ""


def test_plugins_all_shows_every_status_with_its_reason(crowd: Site) -> None:
    text = crowd.ml4t("plugins", "--all", ML4T_BLOCK_PLUGINS="mute").stdout
    for line in (
        "broken: RuntimeError: no such library",
        "future: it needs hook API '>=9', this ml4t-core has 1.0",
        "mute: blocked by ML4T_BLOCK_PLUGINS",
    ):
        assert line in text
    assert "not shown" not in text


def test_plugins_failed_shows_tracebacks_and_nothing_else(crowd: Site) -> None:
    text = crowd.ml4t("plugins", "--failed").stdout
    assert "Traceback (most recent call last)" in text
    assert "ml4t_broken.py" in text
    assert "future" in text
    assert "acme" not in text


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--kind", "fee"], ["acme"]),
        (["--kind", "margin"], []),
        (["--kind", "reporter"], ["acme"]),
        (["--hook", "ml4t_register_models"], ["acme"]),
        (["--hook", "register_reporters"], ["acme"]),
        (["--hook", "doctor"], []),
        ([], ["acme", "mute"]),
        (["--all"], ["acme", "broken", "future", "mute"]),
        (["--failed"], ["broken", "future"]),
    ],
)
def test_plugins_filters(crowd: Site, arguments: list[str], names: list[str]) -> None:
    rows = json.loads(crowd.ml4t("plugins", "--json", *arguments).stdout)
    assert [row["name"] for row in rows] == names


def test_plugins_json_holds_hooks_offers_and_how_models_run(crowd: Site) -> None:
    (row,) = json.loads(crowd.ml4t("plugins", "--json", "--kind", "slippage").stdout)
    assert row == {
        "name": "acme",
        "distribution": "ml4t-acme",
        "version": "0.4",
        "status": "active",
        "reason": "",
        "traceback": None,
        "hooks": ["ml4t_register_models", "ml4t_register_reporters"],
        "offers": [{"kind": "slippage", "name": "Fast", "summary": "", "runs": "builtin"}],
    }


def test_plugins_json_is_the_same_in_every_process(crowd: Site) -> None:
    outputs = {
        crowd.ml4t("plugins", "--all", "--json", PYTHONHASHSEED=seed).stdout for seed in ("0", "1", "77")
    }
    assert len(outputs) == 1


def test_an_unknown_hook_or_kind_is_refused(crowd: Site) -> None:
    finished = crowd.ml4t("plugins", "--hook", "register_modles")
    assert finished.returncode == 1
    assert "did you mean 'ml4t_register_models'?" in finished.stderr
    assert crowd.ml4t("plugins", "--kind", "fees").returncode == 2


@pytest.mark.parametrize("command", ["plugins", "doctor"])
def test_strict_plugins_do_not_stop_the_commands_that_explain_failures(crowd: Site, command: str) -> None:
    finished = crowd.ml4t(command, ML4T_STRICT_PLUGINS="1")
    assert "error:" not in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.returncode == (1 if command == "doctor" else 0)


def test_a_command_of_a_plugin_runs_and_sees_the_plugins(site: Site) -> None:
    site.plugin("greet", HELLO)
    assert "hello" in site.ml4t("--help").stdout
    assert site.ml4t("hello").stdout.strip() == "hello from greet"


def test_own_commands_do_not_load_the_commands_of_plugins(site: Site) -> None:
    site.plugin("slow", "@hookimpl\ndef ml4t_register_commands(cli):\n    raise SystemExit('asked')\n")
    assert "asked" not in site.ml4t("plugins").stderr


def test_a_plugin_cannot_replace_a_command(site: Site) -> None:
    site.plugin("greedy", HELLO.replace('"hello"', '"doctor"'))
    finished = site.ml4t("--help")
    assert "commands of plugin 'greedy'" in finished.stderr
    assert "the command 'doctor' exists already" in finished.stderr
    assert "Check the installation" in finished.stdout


def test_a_command_hook_that_raises_is_a_warning_and_the_others_work(site: Site) -> None:
    site.plugin("greet", HELLO)
    site.plugin("angry", "@hookimpl\ndef ml4t_register_commands(cli):\n    raise ValueError('not today')\n")
    finished = site.ml4t("hello")
    assert finished.returncode == 0
    assert "not today" in finished.stderr


def test_p_blocks_and_enables_plugins(site: Site) -> None:
    site.plugin("greet", HELLO)
    site.plugin("other", "")
    assert site.ml4t("-p", "no:other", "hello").stdout.strip() == "hello from greet,other"
    rows = json.loads(site.ml4t("-p", "no:ml4t-greet", "plugins", "--all", "--json").stdout)
    assert [(row["name"], row["status"]) for row in rows] == [("greet", "blocked"), ("other", "active")]
    assert site.ml4t("-p", "no:greet", "hello").returncode == 2
    assert site.ml4t("-p", "greet", "hello", ML4T_DISABLE_PLUGIN_AUTOLOAD="1").returncode == 0


def test_p_with_an_unknown_name_is_refused(site: Site) -> None:
    site.plugin("greet", HELLO)
    for name in ("gret", "no:gret"):
        finished = site.ml4t("-p", name, "hello")
        assert finished.returncode == 1
        assert "unknown plugin 'gret'" in finished.stderr


def test_an_unknown_command_names_the_nearest_and_what_to_install(site: Site) -> None:
    site.plugin("greet", HELLO)
    finished = site.ml4t("helo")
    assert finished.returncode == 2
    assert "unknown command 'helo'" in finished.stderr
    assert "did you mean 'hello'?" in finished.stderr
    assert "pip install ml4t-engine" in finished.stderr


def test_with_an_engine_installed_nobody_is_told_to_install_it(site: Site) -> None:
    site.install("ml4t-engine", version=ml4t.core.__version__)
    assert "pip install" not in site.ml4t("helo").stderr


def test_an_error_is_one_line_and_a_traceback_on_request(site: Site) -> None:
    body = HELLO.replace(
        "from ml4t.core.cli import plugins_of", "from ml4t.core import DataError; raise DataError('bad bar')"
    )
    site.plugin("greet", body)
    finished = site.ml4t("hello")
    assert (finished.returncode, finished.stderr) == (1, "error: bad bar\n")
    assert "Traceback" in site.ml4t("hello", ML4T_TRACEBACK="1").stderr


def test_doctor_is_content_with_a_sound_installation(site: Site) -> None:
    site.plugin("acme", ACME)
    finished = site.ml4t("doctor")
    assert finished.returncode == 0, finished.stdout
    assert "WRONG" not in finished.stdout
    assert "plugin 'acme' of ml4t-acme 1.0: active" in finished.stdout


def test_doctor_names_broken_plugins_and_how_to_get_rid_of_them(crowd: Site) -> None:
    finished = crowd.ml4t("doctor")
    assert finished.returncode == 1
    assert "WRONG plugin broken: plugin 'broken' of ml4t-broken 1.0: failed, RuntimeError" in finished.stdout
    assert "ML4T_BLOCK_PLUGINS=ml4t-broken" in finished.stdout


def test_doctor_asks_plugins_and_isolates_one_that_raises(site: Site) -> None:
    sick = 'Check(name="licence", ok=False, detail="expired", fix="renew it")'
    site.plugin("sick", f"@hookimpl\ndef ml4t_doctor():\n    return [{sick}]\n")
    site.plugin("angry", "@hookimpl\ndef ml4t_doctor():\n    raise ValueError('not today')\n")
    finished = site.ml4t("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(finished.stdout)}
    assert checks["sick: licence"] == {
        "name": "sick: licence",
        "ok": False,
        "detail": "expired",
        "fix": "renew it",
    }
    assert "not today" in checks["angry: ml4t_doctor"]["detail"]
    assert finished.returncode == 1


def test_doctor_finds_targets_that_do_not_exist_without_importing_any(site: Site) -> None:
    specs = '[ModelSpec("fee", "Gone", "ml4t_gone:X"), ModelSpec("fee", "Here", "ml4t_bomb:X")]'
    site.plugin("acme", f"@hookimpl\ndef ml4t_register_models():\n    return {specs}\n")
    (site.folder / "ml4t_bomb.py").write_text("raise SystemExit('imported')")
    text = site.ml4t("doctor").stdout
    assert "WRONG fee acme:Gone: there is no module 'ml4t_gone'" in text
    assert "Here" not in text


def test_doctor_hands_the_configuration_and_the_plugins_to_those_that_check_them(site: Site) -> None:
    body = """
        @hookimpl
        def ml4t_doctor(config, registry):
            return [Check(name="asked", ok=True, detail=f"{config} {len(registry.infos)}")]
    """
    site.plugin("acme", body)
    (site.folder / "run.toml").write_text("[backtest]\n")
    assert "ok    acme: asked: run.toml 1" in site.ml4t("doctor", "run.toml").stdout
    assert "ok    acme: asked: None 1" in site.ml4t("doctor").stdout
    assert "does not exist" in site.ml4t("doctor", "absent.toml").stderr


@pytest.mark.parametrize(
    "text",
    [
        "[backtest]\nblocked_plugins = ['ml4t_acme', 'nowhere']\n",
        "backtest:\n  blocked_plugins: [acme]\n",
    ],
)
def test_what_a_configuration_on_the_command_line_blocks_is_not_imported(site: Site, text: str) -> None:
    site.plugin("acme", "raise SystemExit('imported')")
    name = "run.toml" if text.startswith("[") else "run.yaml"
    (site.folder / name).write_text(text)
    finished = site.ml4t("-p", "acme", "doctor", name)
    line = "ok    plugin acme: plugin 'acme' of ml4t-acme 1.0: blocked, blocked by backtest.blocked_plugins"
    assert line in finished.stdout
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("text", ["[backtest", "backtest = 3", "[backtest]\nblocked_plugins = 3", "", None])
def test_a_configuration_with_faults_blocks_nothing(site: Site, text: str | None) -> None:
    site.plugin("acme", ACME)
    if text is not None:
        (site.folder / "run.toml").write_text(text)
    assert site.ml4t("hello", "run.toml").returncode == 2, "there is no such command, whatever the file says"
    code = "from ml4t.core.config import blocked_plugins\nanswer = list(blocked_plugins('run.toml'))"
    assert site.ask(code) == []


def test_doctor_finds_two_versions_of_core(site: Site) -> None:
    site.install("ml4t-core", version="0.0.7")
    finished = site.ml4t("doctor")
    assert finished.returncode == 1
    assert "ml4t-core 0.0.7, ml4t-core" in finished.stdout
    assert "install core and engine of one version" in finished.stdout


def test_doctor_finds_switches_that_name_nothing(site: Site) -> None:
    site.plugin("acme", ACME)
    finished = site.ml4t("doctor", ML4T_BLOCK_PLUGINS="acmee")
    assert finished.returncode == 1
    assert "'acmee', which is not installed" in finished.stdout


def test_doctor_compares_the_versions_of_core_and_engine(site: Site) -> None:
    site.install("ml4t-engine", version="9.9")
    finished = site.ml4t("doctor")
    assert finished.returncode == 1
    assert "ml4t-engine 9.9" in finished.stdout
    assert "install core and engine of one version" in finished.stdout


def test_doctor_names_the_package_that_occupies_the_namespace(site: Site) -> None:
    shutil.copytree(Path(ml4t.core.__file__).parent, site.folder / "ml4t" / "core")
    site.install("intruder", version="3.1", files={"ml4t/__init__.py": ""})
    finished = site.ml4t("doctor")
    assert finished.returncode == 1
    assert "of intruder 3.1 occupies the namespace that all parts share" in finished.stdout
    assert "uninstall intruder" in finished.stdout


def test_help_with_twenty_plugins_costs_under_100_ms_more_than_with_none(
    site: Site, runtime: Path, tmp_path: Path
) -> None:
    # Time of the processor, which a busy machine does not stretch; nothing here waits for anything else.
    timed = (
        "import time; start = time.process_time()\n"
        "from ml4t.core.cli import main; main(['--help'])\n"
        "import sys; print(time.process_time() - start, file=sys.stderr)"
    )
    empty = type(site)(tmp_path / "empty", runtime)
    for index in range(20):
        site.plugin(f"plugin{index}", ACME.replace("ml4t_acme", f"ml4t_plugin{index}"))
    spent = [min(float(each.run("-c", timed).stderr) for _ in range(5)) for each in (empty, site)]
    assert spent[1] - spent[0] < 0.100, spent
