"""No workload of the simulator takes more instructions than was accepted, and the gate can tell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from . import instructions
from .instructions import Count, Obstacle, accepted, compare

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = Count(1_000_000, 1_000, "row", 5, "10000.5", "first counts")


def costing(instructions: int) -> dict[str, Count]:
    return {"held": dataclasses.replace(BEFORE, instructions=instructions, note="")}


def test_the_workloads_cost_what_was_accepted() -> None:
    try:
        recorded = instructions.recorded_for(instructions.read(), instructions.toolchain())
    except Obstacle as obstacle:
        pytest.skip(f"not checked: {obstacle}")
    found = instructions.measure()
    print(instructions.table(found, recorded))
    verdict = compare(found, recorded)
    print(*verdict.gains, sep="\n")
    assert not verdict.failures, "\n".join(verdict.failures)


def test_every_recorded_count_says_why_it_was_accepted() -> None:
    known = instructions.read()
    assert known
    for counts in known.values():
        assert all(count.note and count.instructions > 0 for count in counts.values())


def test_a_rise_of_3_1_percent_fails_and_says_how_to_accept_it() -> None:
    (sentence,) = compare(costing(1_031_000), {"held": BEFORE}).failures
    for part in ("held", "1,000.0", "1,031.0", "+3.1 %", '--accept "why"'):
        assert part in sentence


@pytest.mark.parametrize("count", [971_000, 1_000_000, 1_029_000, 1_030_000])
def test_a_change_of_less_passes_silently(count: int) -> None:
    verdict = compare(costing(count), {"held": BEFORE})
    assert verdict.failures == verdict.gains == ()


def test_a_fall_of_3_1_percent_asks_and_does_not_fail() -> None:
    verdict = compare(costing(969_000), {"held": BEFORE})
    assert verdict.failures == ()
    assert "-3.1 %" in verdict.gains[0]
    assert "--accept" in verdict.gains[0]


@pytest.mark.parametrize("other", [{"fills": 6}, {"equity": "10000.6"}, {"units": 999}])
@pytest.mark.parametrize("count", [500_000, 1_000_000])
def test_other_results_fail_at_any_count_and_need_a_word_of_their_own(
    other: dict[str, int | str], count: int
) -> None:
    found = {"held": dataclasses.replace(costing(count)["held"], **other)}  # type: ignore[arg-type]
    (sentence,) = compare(found, {"held": BEFORE}).failures
    assert "does something else" in sentence
    with pytest.raises(Obstacle, match="--results"):
        accepted(found, {"held": BEFORE}, "a faster loop")
    now = accepted(found, {"held": BEFORE}, "another rule of fills", results=True)
    assert compare(found, now).failures == ()


def test_a_note_lets_a_rise_pass() -> None:
    found = costing(1_200_000)
    now = accepted(found, {"held": BEFORE}, "borrow fees are accrued")
    assert now["held"].note == "borrow fees are accrued"
    assert compare(found, now).failures == ()


@pytest.mark.parametrize("note", ["", "  ", "first counts"])
def test_a_rise_is_not_accepted_without_a_note_of_its_own(note: str) -> None:
    with pytest.raises(Obstacle, match="note"):
        accepted(costing(1_200_000), {"held": BEFORE}, note)


def test_small_rises_add_up_because_what_has_not_moved_keeps_its_count() -> None:
    recorded = {"held": BEFORE}
    for count in (1_020_000, 1_030_000):
        recorded = accepted(costing(count), recorded, "something else became dearer")
    assert recorded == {"held": BEFORE}
    assert compare(costing(1_040_000), recorded).failures


def test_workloads_that_came_or_went_fail_until_they_are_accepted() -> None:
    found = {"new": BEFORE}
    failures = compare(found, {"held": BEFORE}).failures
    assert [sentence.split(":")[0] for sentence in failures] == ["held", "new"]
    assert list(accepted(found, {"held": BEFORE}, "why")) == ["new"]


def test_what_is_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "RECORDED", tmp_path / "counts.json")
    assert instructions.read() == {}
    known = {"rustc 1.0.0 somewhere": {"held": BEFORE}}
    instructions.write(known)
    assert instructions.read() == known


def test_without_valgrind_nothing_is_checked_and_the_fix_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    assert instructions.main([]) == 0
    printed = capsys.readouterr().out
    assert "NOT CHECKED" in printed
    assert "apt install valgrind" in printed
    assert instructions.main(["--accept", "why"]) == 1


def test_an_unknown_compiler_is_not_checked_and_the_known_ones_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(instructions, "toolchain", lambda: "rustc 9.9.9 elsewhere")
    assert instructions.main([]) == 0
    printed = capsys.readouterr().out
    assert "NOT CHECKED" in printed
    assert "rustc 9.9.9 elsewhere" in printed
    assert all(toolchain in printed for toolchain in instructions.read())
    assert "--accept" in printed
