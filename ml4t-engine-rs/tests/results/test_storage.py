"""Saving and loading runs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import Results
from ml4t.core.errors import ResultsError, UnknownNameError
from ml4t.core.schemas import TABLES, table_schema

Make = Callable[..., Results]

FILES = {f"{'trades' if name == 'round_trips' else name}.parquet" for name in TABLES}
DOCUMENTS = {"run_manifest.json", "run_info.json", "metrics.json"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_loaded_run_equals_the_saved_one(real: Results, tmp_path: Path) -> None:
    folder = real.save(tmp_path / "runs" / "first")
    assert {path.name for path in folder.iterdir()} == FILES | DOCUMENTS
    loaded = Results.load(folder)
    for name in TABLES:
        assert_frame_equal(loaded.table(name), real.table(name))
    assert loaded.manifest == json.loads(json.dumps(real.manifest))
    assert (loaded.status, loaded.name, loaded.path) == (real.status, real.name, folder)
    assert dict(loaded.metrics) == pytest.approx(dict(real.metrics), nan_ok=True, rel=0, abs=0)


def test_a_pickled_run_equals_its_origin_saved_or_not(real: Results, tmp_path: Path) -> None:
    for origin in (real, Results.load(real.save(tmp_path / "run"))):
        twin = pickle.loads(pickle.dumps(origin))
        for name in TABLES:
            assert_frame_equal(twin.table(name), origin.table(name))
        assert dict(twin.metrics) == pytest.approx(dict(origin.metrics), nan_ok=True, rel=0, abs=0)
        assert (twin.manifest, twin.status, twin.path) == (origin.manifest, origin.status, origin.path)


def test_saving_what_was_loaded_gives_the_same_bytes(real: Results, tmp_path: Path) -> None:
    first = real.save(tmp_path / "first")
    second = Results.load(first).save(tmp_path / "second")
    assert contents(first) == contents(second)


def test_chunks_of_a_table_leave_no_trace_in_its_file(make: Make, tmp_path: Path) -> None:
    results = make(nav=[float(value) for value in range(1, 500)])
    whole = results.table("portfolio_history").to_arrow().cast(table_schema("portfolio_history"))
    pieces = pa.concat_tables([whole.slice(0, 7), whole.slice(7, 100), whole.slice(107)])
    assert pieces.column(0).num_chunks == 3
    written = []
    for number, history in enumerate((whole, pieces)):
        tables = {name: results.table(name).to_arrow().cast(table_schema(name)) for name in TABLES}
        tables["portfolio_history"] = history
        other = Results(tables, manifest=results.manifest, run_info={})
        written.append(contents(other.save(tmp_path / str(number))))
    assert written[0] == written[1]


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(real: Results, tmp_path: Path) -> None:
    source = real.save(tmp_path / "source")
    script = "import sys; from ml4t.backtest import Results; Results.load(sys.argv[1]).save(sys.argv[2])"
    written = []
    for seed, threads in (("1", "1"), ("2", "2")):
        target = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads}
        subprocess.run([sys.executable, "-c", script, source, target], check=True, env=environment)
        written.append(contents(target))
    assert written[0] == written[1] == contents(source)


def test_the_status_travels_in_run_info_and_not_in_the_manifest(make: Make, tmp_path: Path) -> None:
    complete, failed = make(nav=[1.0]), make(nav=[1.0], status="failed")
    first, second = complete.save(tmp_path / "a"), failed.save(tmp_path / "b")
    different = {name for name, data in contents(first).items() if data != contents(second)[name]}
    assert different == {"run_info.json"}
    assert Results.load(second).status == "failed"
    assert Results.load(second).run_info == {"host": "here"}
    assert "The run is failed: the tables end at 2024-01-01" in Results.load(second).warnings[0]


def test_an_interrupted_run_loads_and_says_so(make: Make, tmp_path: Path) -> None:
    loaded = Results.load(make(nav=[1.0], status="interrupted").save(tmp_path / "run"))
    assert "interrupted" in repr(loaded)
    assert loaded.warnings[0].startswith("The run is interrupted: the tables end at 2024-01-01")


def test_the_manifest_has_the_name_that_the_configuration_gives_it(make: Make, tmp_path: Path) -> None:
    named = {"backtest": {"run_manifest": "proof.json"}}
    folder = make(nav=[1.0], config=named).save(tmp_path / "run")
    assert {path.name for path in folder.iterdir()} >= {"proof.json", "run_info.json"}
    assert not (folder / "run_manifest.json").exists()
    assert Results.load(folder).manifest == {"config": named}
    assert Results.load(folder).run_info == {"host": "here"}
    with pytest.raises(ResultsError, match="already holds a run"):
        make(nav=[2.0]).save(folder)
    make(nav=[2.0]).save(folder, overwrite=True)
    assert not (folder / "proof.json").exists()


def test_undefined_metrics_are_null_in_the_file(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[100_000.0, 100_000.0]).save(tmp_path / "flat")
    stored = json.loads((folder / "metrics.json").read_text())
    assert stored["metrics"]["sharpe"] is None
    assert stored["metrics"]["total_return"] == 0
    assert stored["conventions"]["periods_per_year"] == 252
    assert stored["trade_statistics"]["trades"]["all"] == 0


def test_a_benchmark_is_kept_with_the_run(make: Make, tmp_path: Path) -> None:
    plain = make(returns=[0.01, -0.02, 0.03])
    tables = {name: plain.table(name).to_arrow().cast(table_schema(name)) for name in TABLES}
    results = Results(tables, manifest=plain.manifest, run_info={}, benchmark=[0.02, -0.01, 0.01])
    loaded = Results.load(results.save(tmp_path / "run"))
    assert loaded.metrics["beta"] == results.metrics["beta"]
    assert loaded.benchmark is not None and loaded.benchmark["return"].to_list() == [0.02, -0.01, 0.01]


# ------------------------------------------------------------------------------- overwriting


def test_a_run_is_never_overwritten_silently(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    before = contents(folder)
    with pytest.raises(ResultsError, match=r"already holds a run; .*overwrite=True"):
        make(nav=[2.0]).save(folder)
    assert contents(folder) == before


def test_overwriting_replaces_the_run_and_its_report(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    (folder / "report.html").write_text("of the first run")
    make(nav=[2.0]).save(folder, overwrite=True)
    assert Results.load(folder).nav["nav"].to_list() == [2.0]
    assert not (folder / "report.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_anything_else_is_never_replaced(
    overwrite: bool,  # noqa: FBT001 - a parameter of the test
    make: Make,
    tmp_path: Path,
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ResultsError, match=r"is not empty|thesis\.tex"):
        make(nav=[1.0]).save(tmp_path, overwrite=overwrite)
    folder = make(nav=[1.0]).save(tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ResultsError, match=r"already holds a run|notes\.txt"):
        make(nav=[2.0]).save(folder, overwrite=overwrite)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ResultsError, match="is not a folder"):
        make(nav=[1.0]).save(tmp_path / "run", overwrite=True)


def test_an_empty_folder_may_be_used(make: Make, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert Results.load(make(nav=[1.0]).save(tmp_path / "run")).nav.height == 1


@pytest.mark.parametrize("exists", [False, True])
def test_a_save_that_fails_leaves_everything_as_it_was(
    exists: bool,  # noqa: FBT001 - a parameter of the test
    make: Make,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    if exists:
        make(nav=[1.0]).save(folder)
    before = contents(folder) if exists else None
    unwritable = make(nav=[2.0], manifest={"strategy": object()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        unwritable.save(folder, overwrite=True)
    assert (contents(folder) if folder.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if exists else [])


def saved_at_once(runs: list[Results], folder: Path, *, overwrite: bool) -> list[BaseException | None]:
    """Save several runs into one folder, begun at the same moment, and return how each ended."""
    gate = Barrier(len(runs))

    def save(results: Results) -> BaseException | None:
        gate.wait()
        try:
            results.save(folder, overwrite=overwrite)
        except ResultsError as error:
            return error
        return None

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(save, runs))


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_of_several_that_save_at_once_exactly_one_gets_the_folder(
    exists: bool,  # noqa: FBT001 - a parameter of the test
    make: Make,
    tmp_path: Path,
) -> None:
    runs = [make(nav=[float(number)]) for number in range(1, 5)]
    for turn in range(25):
        folder = tmp_path / str(turn)
        if exists:
            folder.mkdir()
        ended = saved_at_once(runs, folder, overwrite=False)
        assert ended.count(None) == 1, f"turn {turn}: {ended}"
        for refusal in filter(None, ended):
            assert str(refusal).startswith(f"{folder} already holds a run; choose another folder")
        winner = runs[ended.index(None)]
        assert Results.load(folder).nav["nav"].to_list() == winner.nav["nav"].to_list()
    assert len(list(tmp_path.iterdir())) == 25


def test_of_several_that_replace_a_run_at_once_the_last_one_stays(make: Make, tmp_path: Path) -> None:
    runs = [make(nav=[float(number)]) for number in range(1, 5)]
    folder = make(nav=[9.0]).save(tmp_path / "run")
    for _ in range(25):
        assert saved_at_once(runs, folder, overwrite=True) == [None] * 4
        assert Results.load(folder).nav["nav"][0] in {1.0, 2.0, 3.0, 4.0}
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


# ------------------------------------------------------------------------------- damage


def test_a_folder_that_is_absent_or_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no folder"):
        Results.load(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"has no run_manifest\.json: it is not the folder of a run"):
        Results.load(tmp_path)


@pytest.mark.parametrize("name", sorted(FILES | DOCUMENTS))
def test_a_missing_file_is_named(name: str, make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(ResultsError, match=rf"has no {name}"):
        Results.load(folder)


@pytest.mark.parametrize("name", sorted(FILES | DOCUMENTS))
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_file_is_named(name: str, keep: float, make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(keep * len(data)) - (1 if keep else 0)])
    with pytest.raises(ResultsError, match=rf"{name}.*truncated"):
        Results.load(folder)


def test_damage_inside_a_table_is_an_error_when_it_is_read(real: Results, tmp_path: Path) -> None:
    folder = real.save(tmp_path / "run")
    file = folder / "positions.parquet"
    data = bytearray(file.read_bytes())
    data[1000:3000] = bytes(2000)
    file.write_bytes(bytes(data))
    loaded = Results.load(folder)
    with pytest.raises(ResultsError, match=r"positions\.parquet"):
        loaded.positions  # noqa: B018 - reading is what fails


def test_a_table_replaced_after_loading_is_refused(make: Make, tmp_path: Path) -> None:
    loaded = Results.load(make(nav=[1.0]).save(tmp_path / "run"))
    make(nav=[2.0, 3.0]).save(tmp_path / "run", overwrite=True)
    with pytest.raises(ResultsError, match="changed after the run was loaded"):
        loaded.nav  # noqa: B018 - reading is what fails


def test_a_table_of_another_layout_is_refused(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    pq.write_table(
        pa.table({"ts_event": [datetime(2024, 1, 1, tzinfo=UTC)], "name": ["x"]}), folder / "logs.parquet"
    )
    # As a version of ml4t with other tables would have left it, hash and all.
    info = json.loads((folder / "run_info.json").read_text())
    info["files"].pop("logs.parquet")
    (folder / "run_info.json").write_text(json.dumps(info))
    with pytest.raises(ResultsError, match=r"table logs .*level is absent, expected string.*name is unknown"):
        Results.load(folder).logs  # noqa: B018 - reading is what fails


def test_metrics_of_another_run_are_refused(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    make(nav=[2.0]).save(tmp_path / "other").joinpath("metrics.json").replace(folder / "metrics.json")
    with pytest.raises(ResultsError, match=r"metrics\.json is not the file that was saved"):
        Results.load(folder)


def test_a_document_that_is_no_object_is_refused(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    (folder / "run_manifest.json").write_text("[]")
    with pytest.raises(ResultsError, match="holds a list, expected a JSON object"):
        Results.load(folder)


def test_a_status_that_does_not_exist_is_refused(make: Make, tmp_path: Path) -> None:
    folder = make(nav=[1.0]).save(tmp_path / "run")
    (folder / "run_info.json").write_text('{"status": "done"}')
    with pytest.raises(ResultsError, match="has status 'done', expected complete, interrupted or failed"):
        Results.load(folder)


def test_results_need_every_table_and_no_other(make: Make) -> None:
    tables = {name: make(nav=[1.0]).table(name) for name in TABLES}
    with pytest.raises(ResultsError, match="results lack the tables ledger"):
        Results({name: table for name, table in tables.items() if name != "ledger"}, manifest={}, run_info={})
    with pytest.raises(UnknownNameError, match=r"unknown table 'fill'.*did you mean 'fills'"):
        Results({**tables, "fill": tables["fills"]}, manifest={}, run_info={})


def test_an_unknown_table_names_the_nearest(make: Make) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'positions'"):
        make(nav=[1.0]).table("position")
    assert make(nav=[1.0]).table("trades").columns == make(nav=[1.0]).round_trips.columns
