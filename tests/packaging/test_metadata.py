"""What the pyproject files promise holds: versions, extras, markers, generated files."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Member


def test_dev_requirements_are_what_the_workspace_says(root: Path, generator: dict[str, Any]) -> None:
    current = (root / "requirements" / "dev.txt").read_text(encoding="utf-8")
    assert current == generator["render"](), "run `python requirements/generate.py`"


def test_dev_requirements_name_every_package_by_a_relative_path(root: Path, members: list[Member]) -> None:
    lines = (root / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    editable = {line.removeprefix("-e ") for line in lines if line.startswith("-e ")}
    wanted = {f"./{each.folder.relative_to(root).as_posix()}" for each in members if each.folder != root}
    assert editable == wanted | {"."}


def test_every_distribution_carries_the_version_of_the_workspace(root: Path, members: list[Member]) -> None:
    cargo = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
    versions = {each.name: each.version for each in members}
    assert set(versions.values()) == {cargo["workspace"]["package"]["version"]}, versions


def test_distributions_pin_each_other_to_the_same_version(members: list[Member]) -> None:
    own = {each.name: each.version for each in members}
    for each in members:
        for requirement in each.requirements:
            if requirement.name in own:
                assert str(requirement.specifier) == f"=={own[requirement.name]}", (each.name, requirement)


def test_extras_name_only_distributions_that_exist(member: dict[str, Member]) -> None:
    extras = member["ml4t"].pyproject["project"]["optional-dependencies"]
    for extra, lines in extras.items():
        for requirement in map(Requirement, lines):
            if requirement.name == "ml4t":
                assert requirement.extras <= set(extras), (extra, requirement)
            else:
                assert requirement.name in member, (extra, requirement)
                assert str(requirement.specifier) == f"=={member[requirement.name].version}"


def test_every_plugin_is_installed_by_default_or_by_an_extra_of_its_name(
    root: Path, member: dict[str, Member]
) -> None:
    project = member["ml4t"].pyproject["project"]
    default = {Requirement(line).name for line in project["dependencies"]}
    extras = project["optional-dependencies"]
    for each in member.values():
        if each.folder.parent != root / "plugins" or each.name in default:
            continue
        extra = each.name.removeprefix("ml4t-")
        assert [Requirement(line).name for line in extras.get(extra, [])] == [each.name]


def test_the_kernel_requires_no_other_part_of_the_workspace(member: dict[str, Member]) -> None:
    assert {each.name for each in member["ml4t-core"].requirements}.isdisjoint(member)


def test_every_distribution_carries_the_licence_and_supports_the_same_pythons(
    root: Path, members: list[Member]
) -> None:
    licence = (root / "LICENSE").read_bytes()
    for each in members:
        assert each.pyproject["project"]["license"] == "Apache-2.0", each.name
        assert each.pyproject["project"]["requires-python"] == ">=3.11", each.name
        assert (each.folder / "LICENSE").read_bytes() == licence, f"copy LICENSE to {each.folder}"


def test_every_plugin_registers_in_the_one_entry_point_group(root: Path, members: list[Member]) -> None:
    for each in members:
        groups = dict(each.pyproject["project"].get("entry-points", {}))
        # ml4t-testing also brings fixtures, which pytest finds in a group of its own.
        fixtures = {"ml4t": "ml4t.testing.fixtures"} if each.name == "ml4t-testing" else None
        assert groups.pop("pytest11", None) == fixtures, each.name
        assert set(groups) <= {"ml4t"}, (each.name, groups)
        if each.folder.parent == root / "plugins":
            short = each.name.removeprefix("ml4t-")
            # ml4t-native is for authors of models and registers nothing itself.
            registers = each.name != "ml4t-native"
            assert groups == ({"ml4t": {short: f"ml4t.{short}.plugin"}} if registers else {}), each.name
            assert any(path.name == "plugin.py" for _, path in each.modules()) == registers, each.name


def test_every_package_is_typed(members: list[Member]) -> None:
    packages = [package for each in members for package in each.packages]
    assert packages
    missing = [str(package) for package in packages if not (package / "py.typed").is_file()]
    assert missing == []


def test_no_source_tree_turns_the_namespace_into_a_package(members: list[Member]) -> None:
    sources = [each.source for each in members if each.source is not None]
    assert sources
    for source in sources:
        assert not (source / "ml4t" / "__init__.py").exists(), source
        assert not (source / "ml4t" / "compat" / "__init__.py").exists(), source


def test_the_shared_tool_settings_name_every_package(
    members: list[Member], member: dict[str, Member]
) -> None:
    tool = member["ml4t"].pyproject["tool"]
    packages = {
        ".".join(package.relative_to(each.source).parts)
        for each in members
        for package in each.packages
        if each.source is not None
    }
    assert set(tool["coverage"]["run"]["source_pkgs"]) == packages
    sources = {each.source for each in members if each.source is not None}
    root_folder = member["ml4t"].folder
    mypy_path = {
        root_folder / entry.removeprefix("$MYPY_CONFIG_FILE_DIR/") for entry in tool["mypy"]["mypy_path"]
    }
    assert mypy_path == sources
    assert set(tool["uv"]["sources"]) == set(member) - {"ml4t"}
