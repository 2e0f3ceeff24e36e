"""The plugin manager, on real distributions in an interpreter of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

MODELS = """
    import attrs, sys

    @attrs.frozen
    class Flat:
        amount: float = 1.0

        def evaluate(self, ctx):
            return self.amount

    @hookimpl
    def ml4t_register_models():
        return [ModelSpec("fee", "Flat", f"{__name__}:Flat", summary="one amount")]
"""
BROKEN = "raise RuntimeError('no such library')"
LOADED = "answer = sorted(m for m in sys.modules if m.startswith('ml4t_'))"
STATUS = "answer = {info.name: info.status for info in pm.infos}"


def test_plugins_are_loaded_in_the_order_of_their_names(site: Site) -> None:
    for name in ("zeta", "alpha", "mid"):
        site.plugin(name, "")
    assert site.ask("answer = [name for name, _ in pm.list_name_plugin()]") == ["alpha", "mid", "zeta"]


def test_a_model_is_resolved_by_short_and_by_qualified_name(site: Site) -> None:
    site.plugin("acme", MODELS)
    code = """
        from ml4t.core import ModelKind
        kinds, names = ("fee", ModelKind.FEE), ("Flat", "acme:Flat")
        answer = [pm.resolve(kind, name).__name__ for kind in kinds for name in names]
    """
    assert site.ask(code) == ["Flat"] * 4


def test_a_target_is_imported_only_when_it_is_resolved(site: Site) -> None:
    spec = 'ModelSpec("fee", "Late", "ml4t_late_model:Late")'
    site.plugin("late", f"@hookimpl\ndef ml4t_register_models():\n    return [{spec}]\n")
    (site.folder / "ml4t_late_model.py").write_text("class Late: pass\n")
    code = """
        before = "ml4t_late_model" in sys.modules
        pm.registry(), pm.infos, pm.find("fee", "Late")
        between = "ml4t_late_model" in sys.modules
        pm.resolve("fee", "Late")
        answer = [before, between, "ml4t_late_model" in sys.modules]
    """
    assert site.ask(code) == [False, False, True]


def test_an_ambiguous_short_name_lists_both_and_qualified_names_still_work(site: Site) -> None:
    site.plugin("acme", MODELS)
    site.plugin("bolt", MODELS)
    code = """
        from ml4t.core import PluginError
        try:
            pm.resolve("fee", "Flat")
        except PluginError as error:
            answer = [str(error), pm.resolve("fee", "bolt:Flat").__module__]
    """
    message, module = site.ask(code)
    assert "acme:Flat and bolt:Flat" in message
    assert module == "ml4t_bolt"


def test_two_specs_with_one_qualified_name_are_refused(site: Site) -> None:
    twice = '[ModelSpec("fee", "X", "a:X"), ModelSpec("fee", "X", "a:Y")]'
    site.plugin("twice", f"@hookimpl\ndef ml4t_register_models():\n    return {twice}\n")
    site.plugin("acme", MODELS)
    status = site.ask(STATUS)
    reason = site.ask("answer = pm.failures[0].reason")
    assert status == {"acme": "active", "twice": "failed"}
    assert "two specs" in reason
    assert "'twice:X'" in reason


def test_one_name_for_two_kinds_is_fine(site: Site) -> None:
    both = '[ModelSpec("fee", "X", "a:X"), ModelSpec("slippage", "X", "a:Y")]'
    site.plugin("both", f"@hookimpl\ndef ml4t_register_models():\n    return {both}\n")
    assert site.ask("answer = [pm.find(kind, 'X').spec.target for kind in ('fee', 'slippage')]") == [
        "a:X",
        "a:Y",
    ]


def test_a_plugin_that_cannot_be_imported_is_kept_as_a_failure_and_the_others_live(site: Site) -> None:
    site.plugin("acme", MODELS)
    site.plugin("broken", BROKEN, version="2.5")
    code = """
        failure, = pm.failures
        answer = [failure.name, failure.dist, failure.version, failure.reason, failure.traceback,
                  pm.resolve("fee", "Flat").__name__]
    """
    name, dist, version, reason, traceback, model = site.ask(code)
    assert (name, dist, version) == ("broken", "ml4t-broken", "2.5")
    assert reason == "RuntimeError: no such library"
    assert "ml4t_broken.py" in traceback
    assert model == "Flat"


@pytest.mark.parametrize(
    "body",
    ["raise SystemExit(3)", "class Panic(BaseException): pass\nraise Panic('rust')", "import nowhere_at_all"],
)
def test_whatever_importing_a_plugin_raises_the_process_lives(site: Site, body: str) -> None:
    site.plugin("acme", MODELS)
    site.plugin("broken", body)
    assert site.ask(STATUS) == {"acme": "active", "broken": "failed"}


def test_ctrl_c_while_plugins_are_loaded_is_not_swallowed(site: Site) -> None:
    site.plugin("broken", "raise KeyboardInterrupt")
    assert "KeyboardInterrupt" in site.run("-c", "from ml4t.core import load_plugins; load_plugins()").stderr


def test_a_failure_is_warned_about_once(site: Site) -> None:
    site.plugin("broken", BROKEN)
    finished = site.run(
        "-c", "from ml4t.core import load_plugins\nfor _ in range(3): load_plugins().registry()"
    )
    assert finished.stderr.count("PluginWarning") == 1
    assert "'broken' of ml4t-broken 1.0: failed, RuntimeError: no such library" in finished.stderr


def test_an_entry_point_whose_attribute_is_missing_is_a_failure(site: Site) -> None:
    site.install("ml4t-gone", entries={"gone": "ml4t_gone:plugin"}, files={"ml4t_gone.py": ""})
    assert site.ask(STATUS) == {"gone": "failed"}


@pytest.mark.parametrize(
    ("environ", "raises"),
    [
        ({"ML4T_STRICT_PLUGINS": "1"}, True),
        ({"CI": "true"}, True),
        ({"CI": "true", "ML4T_STRICT_PLUGINS": "0"}, False),
        ({"CI": "false"}, False),
        ({}, False),
    ],
)
def test_strict_plugins_and_ci_raise(site: Site, environ: dict[str, str], raises: bool) -> None:  # noqa: FBT001
    site.plugin("broken", BROKEN)
    finished = site.run("-c", "from ml4t.core import load_plugins; load_plugins()", **environ)
    assert (finished.returncode != 0) is raises
    assert ("PluginError: plugin 'broken' of ml4t-broken 1.0" in finished.stderr) is raises
    assert ("RuntimeError: no such library" in finished.stderr) is True


def test_strict_plugins_raise_for_a_broken_contract_too(site: Site) -> None:
    site.plugin("odd", "@hookimpl\ndef ml4t_register_models():\n    return ['Flat']\n")
    finished = site.run(
        "-c", "from ml4t.core import load_plugins; load_plugins().registry()", ML4T_STRICT_PLUGINS="1"
    )
    assert "must return a list of ModelSpec, found 'Flat'" in finished.stderr


@pytest.mark.parametrize("blocked", ["beta", "ml4t-beta", "ML4T_Beta", "other, beta ,"])
def test_a_blocked_plugin_is_not_imported(site: Site, blocked: str) -> None:
    site.plugin("alpha", "")
    site.plugin("beta", "")
    assert site.ask(LOADED, ML4T_BLOCK_PLUGINS=blocked) == ["ml4t_alpha"]
    assert site.ask(STATUS, ML4T_BLOCK_PLUGINS=blocked) == {"alpha": "active", "beta": "blocked"}


@pytest.mark.parametrize("allowed", ["beta", "ml4t-beta"])
def test_only_listed_plugins_are_imported(site: Site, allowed: str) -> None:
    site.plugin("alpha", "")
    site.plugin("beta", "")
    assert site.ask(LOADED, ML4T_PLUGINS=allowed) == ["ml4t_beta"]


@pytest.mark.parametrize(
    ("environ", "loaded"),
    [
        ({}, []),
        ({"ML4T_PLUGINS": "alpha"}, ["ml4t_alpha"]),
        ({"ML4T_PLUGINS": "alpha", "ML4T_BLOCK_PLUGINS": "alpha"}, []),
    ],
)
def test_without_autoload_only_what_is_named_is_imported(
    site: Site, environ: dict[str, str], loaded: list[str]
) -> None:
    site.plugin("alpha", "")
    site.plugin("beta", "")
    assert site.ask(LOADED, ML4T_DISABLE_PLUGIN_AUTOLOAD="1", **environ) == loaded


def test_enabled_by_hand_wins_over_the_environment_and_blocked_by_hand_wins_over_all(site: Site) -> None:
    for name in ("alpha", "beta", "gamma"):
        site.plugin(name, "")
    code = """
        import warnings
        hand = load_plugins(enable=["alpha", "ml4t-beta"], block=["beta"])
        answer = {info.name: [info.status, info.reason] for info in hand.infos}
    """
    assert site.ask(code, ML4T_BLOCK_PLUGINS="alpha,gamma") == {
        "alpha": ["active", ""],
        "beta": ["blocked", "blocked by -p no:"],
        "gamma": ["blocked", "blocked by ML4T_BLOCK_PLUGINS"],
    }


def test_what_a_configuration_blocks_wins_over_all_and_need_not_be_installed(site: Site) -> None:
    for name in ("alpha", "beta"):
        site.plugin(name, "")
    code = """
        for name in [name for name in sys.modules if name.startswith("ml4t_")]:
            del sys.modules[name]
        hand = load_plugins(enable=["alpha"], unwanted=["ml4t_alpha", "nowhere"])
        loaded = sorted(m for m in sys.modules if m.startswith("ml4t_"))
        answer = [loaded, {info.name: [info.status, info.reason] for info in hand.infos}]
    """
    assert site.ask(code) == [
        ["ml4t_beta"],
        {"alpha": ["blocked", "blocked by backtest.blocked_plugins"], "beta": ["active", ""]},
    ]


@pytest.mark.parametrize("keyword", ["enable", "block"])
def test_a_plugin_named_by_hand_that_is_not_installed_is_an_error(site: Site, keyword: str) -> None:
    site.plugin("alpha", "")
    finished = site.run("-c", f"from ml4t.core import load_plugins; load_plugins({keyword}=['alpa'])")
    assert "UnknownNameError: unknown plugin 'alpa'" in finished.stderr
    assert "did you mean 'alpha'?" in finished.stderr


def test_one_entry_name_claimed_by_two_distributions_is_refused_for_both(site: Site) -> None:
    site.plugin("same", MODELS)
    site.install("other-dist", entries={"same": "other_module"}, files={"other_module.py": "IMPORTED = True"})
    code = "answer = {'infos': [[i.name, i.dist, i.status] for i in pm.infos], 'modules': list(sys.modules)}"
    answer = site.ask(code)
    assert answer["infos"] == [["same", "ml4t-same", "failed"], ["same", "other-dist", "failed"]]
    assert not {"ml4t_same", "other_module"} & set(answer["modules"])
    code = "answer = [[i.dist, i.status] for i in pm.infos]"
    assert site.ask(code, ML4T_BLOCK_PLUGINS="other-dist") == [
        ["ml4t-same", "active"],
        ["other-dist", "blocked"],
    ]


def test_a_blocked_namesake_hides_neither_itself_nor_a_failure(site: Site) -> None:
    site.plugin("same", BROKEN)
    site.install("other-dist", entries={"same": "other_module"}, files={"other_module.py": ""})
    code = "answer = [[i.dist, i.status] for i in pm.infos]"
    assert site.ask(code, ML4T_BLOCK_PLUGINS="other-dist") == [
        ["ml4t-same", "failed"],
        ["other-dist", "blocked"],
    ]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (">=1.0,<2", "active"),
        ("==1.*", "active"),
        (">=2", "incompatible"),
        ("<1", "incompatible"),
        ("two", "failed"),
    ],
)
def test_the_hook_version_is_checked_before_registration(site: Site, wanted: str, status: str) -> None:
    site.plugin(
        "dated", f"ml4t_hook_api = {wanted!r}\n@hookimpl\ndef ml4t_register_modls():\n    return []\n"
    )
    site.plugin("timed", f"ml4t_hook_api = {wanted!r}\n")
    answer = site.ask("answer = {info.name: [info.status, info.reason] for info in pm.infos}")
    assert answer["timed"][0] == status
    # The misspelled hook would be reported if the version were checked later.
    assert ("hook API" in answer["dated"][1]) is (status == "incompatible")


def test_the_message_of_an_incompatible_plugin_has_both_versions(site: Site) -> None:
    site.plugin("future", "ml4t_hook_api = '>=2'")
    reason = site.ask("answer = pm.failures[0].reason")
    assert "'>=2'" in reason
    assert "1.0" in reason


def test_a_misspelled_hook_is_refused_with_the_nearest_name(site: Site) -> None:
    site.plugin("typo", "@hookimpl\ndef ml4t_register_model():\n    return []\n")
    reason = site.ask("answer = pm.failures[0].reason")
    assert reason == "ml4t_register_model is no hook; the nearest is ml4t_register_models"


def test_hooks_under_another_name_and_hooks_of_newer_kernels_are_accepted(site: Site) -> None:
    body = """
        @hookimpl(specname="ml4t_open_data")
        def read(uri):
            return "read " + uri

        @hookimpl(optionalhook=True)
        def ml4t_not_yet_invented():
            return None
    """
    site.plugin("modern", body)
    assert site.ask("answer = pm.hook.ml4t_open_data(uri='x', options={})") == "read x"
    assert site.ask(STATUS) == {"modern": "active"}


def test_a_hook_without_its_mark_is_refused_instead_of_being_ignored(site: Site) -> None:
    site.plugin("bare", "def ml4t_register_models():\n    return []\n")
    assert "not marked with @hookimpl" in site.ask("answer = pm.failures[0].reason")


def test_a_hook_with_a_wrong_signature_is_refused_and_leaves_nothing_behind(site: Site) -> None:
    site.plugin("wrong", MODELS + "\n    @hookimpl\n    def ml4t_doctor(patient):\n        return []\n")
    code = """
        names = [name for name, _ in pm.list_name_plugin()]
        answer = [pm.failures[0].reason, names, len(pm.registry()), pm.hook.ml4t_doctor()]
    """
    reason, names, offers, checks = site.ask(code)
    assert "patient" in reason
    assert (names, offers, checks) == ([], 0, [])


def test_a_registry_hook_that_raises_fails_its_plugin_only(site: Site) -> None:
    site.plugin("acme", MODELS)
    body = """
        @hookimpl
        def ml4t_register_models():
            raise ValueError("not today")

        @hookimpl
        def ml4t_doctor():
            return [Check(name="pulse", ok=True, detail="still here")]
    """
    site.plugin("angry", body)
    assert site.ask(STATUS) == {"acme": "active", "angry": "failed"}
    # Nothing of a failed plugin is asked again.
    assert site.ask("pm.registry()\nanswer = [pm.hook.ml4t_doctor(), pm.has_plugin('angry')]") == [[], False]
    assert site.ask("answer = pm.find('fee', 'Flat').qualified") == "acme:Flat"


def test_a_target_without_an_attribute_is_told_in_one_sentence(site: Site) -> None:
    body = """
        @hookimpl
        def ml4t_register_models():
            return [ModelSpec("fee", "Odd", "nowhere")]
    """
    site.plugin("odd", body)
    reason = site.ask("answer = [info.reason for info in pm.infos]")[0]
    assert reason.startswith("ValueError: 'target' must match regex")
    assert "Attribute(" not in reason


def test_an_unknown_model_names_the_nearest_and_what_did_not_load(site: Site) -> None:
    site.plugin("acme", MODELS)
    site.plugin("broken", BROKEN)
    code = """
        from ml4t.core import UnknownNameError
        try:
            pm.resolve("fee", "Flta")
        except UnknownNameError as error:
            answer = str(error)
    """
    message = site.ask(code)
    assert "unknown fee 'Flta'; known: Flat; did you mean 'Flat'?" in message
    assert "plugin 'broken' of ml4t-broken 1.0: failed" in message
    assert "Traceback" in message


def test_a_qualified_name_of_a_failed_plugin_raises_with_its_traceback(site: Site) -> None:
    site.plugin("broken", BROKEN)
    code = """
        from ml4t.core import PluginError
        try:
            pm.resolve("fee", "broken:Flat")
        except PluginError as error:
            answer = str(error)
    """
    message = site.ask(code)
    assert "fee 'broken:Flat' needs plugin 'broken' of ml4t-broken 1.0: failed, RuntimeError" in message
    assert 'ml4t_broken.py", line' in message


def test_unknown_plugins_and_kinds_are_named(site: Site) -> None:
    site.plugin("acme", MODELS)
    code = """
        from ml4t.core import UnknownNameError
        answer = []
        for kind, name in (("fee", "acmee:Flat"), ("fees", "Flat"), ("slippage", "acme:Flat")):
            try:
                pm.resolve(kind, name)
            except UnknownNameError as error:
                answer.append(str(error))
    """
    plugin, kind, model = site.ask(code)
    assert plugin == "unknown plugin 'acmee'; known: acme; did you mean 'acme'?"
    assert kind.startswith("unknown kind 'fees'")
    assert kind.endswith("did you mean 'fee'?")
    assert model == "unknown slippage 'acme:Flat'; known: none"


def test_a_target_that_cannot_be_imported_names_plugin_version_and_target(site: Site) -> None:
    site.plugin(
        "ghost",
        '@hookimpl\ndef ml4t_register_models():\n    return [ModelSpec("fee", "G", "ghost_town:G")]\n',
    )
    code = """
        from ml4t.core import PluginError
        try:
            pm.resolve("fee", "G")
        except PluginError as error:
            answer = [str(error), type(error.__cause__).__name__]
    """
    message, cause = site.ask(code)
    assert message.startswith("fee 'ghost:G' of ml4t-ghost 1.0: cannot import 'ghost_town:G'")
    assert cause == "ModuleNotFoundError"


def test_build_model_reports_all_wrong_parameters_at_once(site: Site) -> None:
    body = """
        import attrs

        @attrs.frozen
        class Tiered:
            rate: float
            steps: tuple[int, ...] = ()
            cap: float | None = None

            def evaluate(self, ctx):
                return None

        @hookimpl
        def ml4t_register_models():
            return [ModelSpec("fee", "Tiered", "ml4t_tier:Tiered")]
    """
    site.plugin("tier", body)
    code = """
        from ml4t.core import ConfigError, ModelKind
        good = pm.build_model(ModelKind.FEE, {"type": "Tiered", "rate": 1, "steps": [1, 2]})
        try:
            pm.build_model(ModelKind.FEE, {"type": "Tiered", "steps": [1, "2"], "capp": 3})
        except ConfigError as error:
            findings = [[f.path, f.code, f.nearest] for f in error.findings]
            answer = [[good.rate, good.steps, good.cap], findings]
    """
    good, findings = site.ask(code)
    assert good == [1.0, [1, 2], None]
    assert findings == [
        ["rate", "missing", None],
        ["steps[1]", "invalid_type", None],
        ["capp", "unknown_key", "cap"],
    ]


def test_a_model_that_is_no_attrs_class_or_cannot_evaluate_is_refused(site: Site) -> None:
    body = """
        import attrs

        class Plain:
            def evaluate(self, ctx): ...

        @attrs.frozen
        class Mute:
            rate: float = 0.0

        @hookimpl
        def ml4t_register_models():
            return [ModelSpec("fee", name, f"ml4t_half:{name}") for name in ("Plain", "Mute")]
    """
    site.plugin("half", body)
    code = """
        from ml4t.core import PluginError, ModelKind
        answer = []
        for name in ("Plain", "Mute"):
            try:
                pm.build_model(ModelKind.FEE, {"type": name})
            except PluginError as error:
                answer.append(str(error))
    """
    assert all("must be an attrs class with a method evaluate(ctx)" in message for message in site.ask(code))
    assert len(site.ask(code)) == 2


def test_a_configuration_is_checked_against_plugins_in_one_pass(site: Site) -> None:
    site.plugin("acme", MODELS)
    site.plugin("broken", BROKEN)
    code = """
        from ml4t.core import ConfigError, load_config
        document = {
            "backtest": {
                "seed": "x",
                "required_plugins": ["ml4t-acme>=2", "ml4t-none", "ml4t-broken", "ml4t-acme"],
            },
            "broker": {"fee_model": {"type": "Flat", "amout": 1}, "slippage_model": {"type": "NoSuch"},
                       "fill_model": {"type": "acme:Default"}},
        }
        try:
            load_config(document, plugins=pm)
        except ConfigError as error:
            answer = {finding.path: str(finding) for finding in error.findings}
    """
    answer = site.ask(code)
    assert set(answer) == {
        "backtest.seed",
        "backtest.required_plugins[0]",
        "backtest.required_plugins[1]",
        "backtest.required_plugins[2]",
        "broker.fee_model.amout",
        "broker.slippage_model.type",
        "broker.fill_model.type",
    }
    assert "ml4t-acme 1.0 is installed" in answer["backtest.required_plugins[0]"]
    assert "pip install 'ml4t-none'" in answer["backtest.required_plugins[1]"]
    assert "Traceback" in answer["backtest.required_plugins[2]"]
    assert "did you mean 'amount'?" in answer["broker.fee_model.amout"]


def test_default_models_must_exist_too_once_plugins_are_asked(site: Site) -> None:
    code = """
        from ml4t.core import ConfigError, load_config
        load_config({})
        try:
            load_config({}, plugins=pm)
        except ConfigError as error:
            answer = sorted(finding.path for finding in error.findings)
    """
    paths = ["broker.commission_model.type", "broker.fill_model.type", "broker.slippage_model.type"]
    assert site.ask(code) == paths


def test_require_lists_everything_that_is_missing(site: Site) -> None:
    site.plugin("acme", MODELS, version="0.3")
    code = """
        from ml4t.core import PluginError
        pm.require(["ml4t-acme>=0.2", "acme"])
        try:
            pm.require(["ml4t-acme>=0.4", "ml4t-gone", "not a requirement"])
        except PluginError as error:
            answer = str(error).splitlines()
    """
    first, second, third = site.ask(code)
    assert first == "ml4t-acme>=0.4 is required, ml4t-acme 0.3 is installed"
    assert second == "ml4t-gone is not installed; run: pip install 'ml4t-gone'"
    assert "is no requirement" in third


def test_a_required_plugin_that_is_blocked_is_said_to_be_blocked(site: Site) -> None:
    site.plugin("acme", MODELS)
    code = """
        from ml4t.core import PluginError
        try:
            pm.require(["ml4t-acme"])
        except PluginError as error:
            answer = str(error)
    """
    message = site.ask(code, ML4T_BLOCK_PLUGINS="acme")
    assert (
        message
        == "ml4t-acme is required: plugin 'acme' of ml4t-acme 1.0: blocked, blocked by ML4T_BLOCK_PLUGINS"
    )


CONFIG_RULES = """
    @hookimpl
    def ml4t_validate_config(config, registry):
        assert registry.has_plugin("strictly")
        if config.backtest.name == "forbidden":
            return [Finding(path="backtest.name", message="is not allowed here")]
        return []
"""


def test_plugins_judge_a_configuration_and_one_that_raises_is_a_warning(site: Site) -> None:
    for kind, name in (("fill", "Default"), ("slippage", "NoSlippage"), ("fee", "NoFee")):
        target = f'[ModelSpec("{kind}", "{name}", "ml4t_{kind}:M")]'
        model = "import attrs\n@attrs.frozen\nclass M:\n    def evaluate(self, ctx): ...\n"
        site.plugin(kind, f"{model}@hookimpl\ndef ml4t_register_models():\n    return {target}\n")
    site.plugin("strictly", CONFIG_RULES)
    site.plugin("confused", "@hookimpl\ndef ml4t_validate_config(config):\n    return [1 / 0]\n")
    code = """
        import warnings
        from ml4t.core import ConfigError, load_config
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load_config({}, plugins=pm)
        try:
            load_config({"backtest": {"name": "forbidden"}}, plugins=pm)
        except ConfigError as error:
            findings = [[f.plugin, f.path, f.severity.value] for f in error.findings]
            answer = [[str(w.message) for w in caught], findings]
    """
    warned, findings = site.ask(code)
    assert len(warned) == 1
    assert "ZeroDivisionError" in warned[0]
    assert "[plugin confused]" in warned[0]
    assert findings == [["confused", "", "warning"], ["strictly", "backtest.name", "error"]]


def test_migrations_run_by_plugin_name_each_on_the_result_of_the_one_before(site: Site) -> None:
    template = """
        @hookimpl
        def ml4t_migrate_config(document, from_version):
            document.setdefault("trace", []).append(["{name}", from_version])
            return document
    """
    site.plugin("beta", template.format(name="beta"))
    site.plugin("alpha", template.format(name="alpha"))
    site.plugin("silent", "@hookimpl\ndef ml4t_migrate_config(document):\n    document.clear()\n")
    code = """
        document = {"broker": {}}
        answer = [pm.migrate_config(document, from_version=1), document]
    """
    changed, original = site.ask(code)
    assert changed == {"broker": {}, "trace": [["alpha", 1], ["beta", 1]]}
    assert original == {"broker": {}}


def test_a_first_answer_decides_a_question(site: Site) -> None:
    for name, answer in (("one", "None"), ("two", "'reader-' + uri")):
        site.plugin(name, f"@hookimpl\ndef ml4t_open_data(uri):\n    return {answer}\n")
    assert site.ask("answer = pm.hook.ml4t_open_data(uri='s3://x', options={})") == "reader-s3://x"


def test_hook_calls_are_traced_on_request(site: Site) -> None:
    site.plugin("acme", MODELS)
    traced = site.run(
        "-c", "from ml4t.core import load_plugins; load_plugins().registry()", ML4T_TRACE_PLUGINS="1"
    )
    assert "ml4t_register_models" in traced.stderr
    assert (
        "ml4t_register_models"
        not in site.run("-c", "from ml4t.core import load_plugins; load_plugins().registry()").stderr
    )


def test_two_managers_do_not_share_anything(site: Site) -> None:
    site.plugin("acme", MODELS)
    code = """
        other = load_plugins(block=["acme"])
        answer = [len(pm.registry()), len(other.registry())]
    """
    assert site.ask(code) == [1, 0]


def test_a_profile_lies_under_what_is_written(site: Site) -> None:
    site.plugin(
        "houses",
        """
        from ml4t.core.hookspecs import ProfileSpec

        CAREFUL = {"allows_short": True, "policies": {"limit_touch": "through", "zero_volume": "fill"}}

        def made():
            return {"latency": "1s"}

        @hookimpl
        def ml4t_register_profiles():
            return [ProfileSpec("careful", f"{__name__}:CAREFUL"), ProfileSpec("made", f"{__name__}:made")]
        """,
    )
    code = """
        def read(**broker):
            return pm.with_profile({"broker": broker, "backtest": {}})["broker"]

        answer = [
            read(profile="careful", policies={"zero_volume": "no_fill"}),
            read(profile="made"),
            read(allows_short=False),
        ]
    """
    careful, made, plain = site.ask(code)
    assert careful == {
        "profile": "careful",
        "allows_short": True,
        "policies": {"limit_touch": "through", "zero_volume": "no_fill"},
    }
    assert made == {"profile": "made", "latency": "1s", "policies": {}}
    assert plain == {"allows_short": False}
