"""Versions of the parameters of models: what is told, migrated and refused."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Site

# `rate` was called `bps` in schema 1 and counted hundredths of a percent.
ACME = """
    import attrs

    @attrs.frozen
    class Flat:
        rate: float = 0.0
        tiers: tuple[float, ...] = ()

        def evaluate(self, ctx):
            return self.rate

    @hookimpl
    def ml4t_register_models():
        return [ModelSpec("fee", "Flat", "ml4t_acme:Flat", schema_version=3)]
"""
MIGRATES = """
    @hookimpl
    def ml4t_migrate_model(kind, name, params, from_version):
        params["tiers"].append(from_version)
        params["rate"] = params.pop("bps") / 10_000
        return params
"""
IMPORTS = "from ml4t.core import ConfigError, ModelKind\nfrom ml4t.core.values import FrozenMapping\n"


def refused(site: Site, table: str) -> list[list[Any]]:
    """Findings on a table of a fee model."""
    code = f"""
        try:
            answer = repr(pm.build_model(ModelKind.FEE, {table}))
        except ConfigError as error:
            answer = [[f.path, f.message] for f in error.findings]
    """
    found = site.ask(IMPORTS + textwrap.dedent(code))
    assert isinstance(found, list), found
    return found


@pytest.mark.parametrize("version", ["", ", 'schema_version': 3"])
def test_a_table_of_the_present_version_or_of_none_is_built_and_nobody_is_asked(
    site: Site, version: str
) -> None:
    site.plugin("acme", ACME + "\n    @hookimpl\n    def ml4t_migrate_model(): raise RuntimeError\n")
    table = "{'type': 'Flat', 'rate': 0.5, 'tiers': (1.0,)" + version + "}"
    code = f"""
        model = pm.build_model(ModelKind.FEE, FrozenMapping({table}))
        answer = [model.rate, pm.current_table(ModelKind.FEE, {table})]
    """
    rate, current = site.ask(IMPORTS + textwrap.dedent(code))
    assert rate == 0.5
    assert current == {"type": "Flat", "schema_version": 3, "rate": 0.5, "tiers": [1.0]}


@pytest.mark.parametrize("make", ["dict", "FrozenMapping"])
def test_an_older_table_is_migrated_by_the_plugin_that_offers_the_model_on_a_copy(
    site: Site, make: str
) -> None:
    site.plugin("acme", ACME + MIGRATES)
    site.plugin("bolt", "@hookimpl\ndef ml4t_migrate_model():\n    raise RuntimeError('not mine')\n")
    code = f"""
        table = {make}({{"type": "acme:Flat", "schema_version": 1, "bps": 25.0, "tiers": []}})
        model = pm.build_model(ModelKind.FEE, table)
        current = pm.current_table(ModelKind.FEE, table)
        answer = [model.rate, model.tiers, current, table["bps"], len(table["tiers"])]
    """
    rate, tiers, current, bps, length = site.ask(IMPORTS + textwrap.dedent(code))
    assert (rate, tiers) == (0.0025, [1.0])
    assert current == {"type": "acme:Flat", "schema_version": 3, "rate": 0.0025, "tiers": [1]}
    assert (bps, length) == (25.0, 0), "the table that was given is as it was"


def test_a_hook_is_told_kind_name_and_version(site: Site) -> None:
    hook = """
        @hookimpl
        def ml4t_migrate_model(kind, name, params, from_version):
            raise LookupError(f"{kind} {name} {sorted(params)} {from_version}")
    """
    site.plugin("acme", ACME + hook.replace("\n        ", "\n    "))
    ((path, message),) = refused(site, "{'type': 'Flat', 'bps': 1, 'schema_version': 2}")
    assert path == "schema_version"
    assert "LookupError: fee Flat ['bps'] 2" in message


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ("", "the plugin migrates none"),
        ("return None", "the plugin migrates none"),
        ("return 5", "ml4t_migrate_model answered 5"),
        ("raise KeyError('bps')", "ml4t_migrate_model failed, KeyError: 'bps'"),
    ],
)
def test_what_is_not_migrated_is_refused_with_who_and_what_to_do(site: Site, hook: str, why: str) -> None:
    body = f"\n    @hookimpl\n    def ml4t_migrate_model(params):\n        {hook}\n" if hook else ""
    site.plugin("acme", ACME + body, version="1.4")
    assert refused(site, "{'type': 'Flat', 'schema_version': 1}") == [
        [
            "schema_version",
            "fee 'acme:Flat' of plugin 'acme', ml4t-acme 1.4, has schema 3, and these parameters are of "
            f"schema 1: {why}; write those of schema 3, or install the ml4t-acme that wrote these",
        ]
    ]


def test_a_newer_table_is_refused_and_nobody_is_asked(site: Site) -> None:
    site.plugin("acme", ACME + MIGRATES, version="1.4")
    ((path, message),) = refused(site, "{'type': 'Flat', 'schema_version': 4}")
    assert path == "schema_version"
    assert message == (
        "fee 'acme:Flat' of plugin 'acme', ml4t-acme 1.4, has schema 3, and these parameters are of "
        "schema 4: they were written by a newer ml4t-acme; upgrade it"
    )


@pytest.mark.parametrize("version", ["0", "True", "1.0", "'2'", "None"])
def test_what_is_no_version_is_refused(site: Site, version: str) -> None:
    site.plugin("acme", ACME + MIGRATES)
    ((path, message),) = refused(site, f"{{'type': 'Flat', 'schema_version': {version}}}")
    assert (path, message) == (
        "schema_version",
        f"expected a whole number of 1 or more, found {version}",
    )


def test_what_a_hook_returns_is_checked_and_its_faults_say_where_they_come_from(site: Site) -> None:
    site.plugin("acme", ACME + MIGRATES.replace('params["rate"]', 'params["raet"]'))
    ((path, message),) = refused(site, "{'type': 'Flat', 'schema_version': 1, 'bps': 1, 'tiers': []}")
    assert path == "raet"
    assert message == "unknown key, in what ml4t_migrate_model of 'Flat' made of schema 1"


def test_faults_of_versions_come_together_with_all_others(site: Site) -> None:
    slip = ACME.replace(
        '"fee", "Flat", "ml4t_acme:Flat", schema_version=3', '"slippage", "Slip", "ml4t_acme:Flat"'
    )
    site.plugin("acme", ACME)
    site.plugin("bolt", slip)
    code = """
        document = {
            "backtest": {"engine": "none"},
            "broker": {
                "slippage_model": {"type": "Slip", "schema_version": 2},
                "fee_model": {"type": "Flat", "schema_version": 1},
                "impact_model": {"type": "Nothing"},
            },
        }
        answer = [f.path for f in pm.check_document(document)]
    """
    assert site.ask(code) == [
        "backtest.engine",
        "broker.fill_model.type",
        "broker.slippage_model.schema_version",
        "broker.impact_model.type",
        "broker.fee_model.schema_version",
    ]
