"""Distributions that are broken on purpose, and how they are installed, run and looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from .inputs import COMMAND

ROOT = Path(__file__).resolve().parents[2]
ABI = ROOT / "ml4t-engine-rs/crates/abi"

PLUGIN = """
    from pathlib import Path

    from ml4t.core import ModelSpec, hookimpl

    Path(__file__).with_name("imported.txt").write_text("imported")

    @hookimpl
    def ml4t_register_models():
        return [ModelSpec("slippage", "Deep", "ml4t_odd_models:Deep")]
"""
MODEL = """
    import attrs
    from ml4t.core.models import SlippageOut

    @attrs.frozen
    class Deep:
        rate: float = 0.001

        def evaluate(self, ctx):
            return SlippageOut(ctx.reference_price * self.rate)
"""
NATIVE = """
    import ctypes
    from pathlib import Path

    import attrs
    from ml4t.core.models import SlippageOut

    NAME = b"ml4t.model.v1"
    LIBRARY = ctypes.CDLL(str(Path(__file__).with_name("libodd.so")))

    def capsule(symbol):
        make, new = getattr(LIBRARY, symbol), ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.c_void_p
        make.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(make(None, 0, None, 0), NAME, None)

    @attrs.frozen
    class Deep:
        def evaluate(self, ctx):
            return SlippageOut(0.0)

        def __ml4t_model_v1__(self, kind):
            return capsule("make_SYMBOL")
"""
C_LIBRARY = """
#include <math.h>
#include <ml4t_abi.h>

static int32_t answer_nan(void *s, const ml4t_slippage_context *c, ml4t_slippage_output *output) {
    (void)s; (void)c;
    output->adjustment = NAN;
    output->spread = 0.0;
    output->quantity_cap = INFINITY;
    return ML4T_STATUS_OK;
}
static int32_t fail(void *s, const ml4t_slippage_context *c, ml4t_slippage_output *output) {
    (void)s; (void)c; (void)output;
    return -7;
}
#define TABLE .magic = ML4T_MAGIC, .struct_size = sizeof(ml4t_model_table), .abi_minor = ML4T_ABI_MINOR, \\
    .kind = ML4T_KIND_SLIPPAGE, .flags = ML4T_FLAG_SEND | ML4T_FLAG_STATELESS, .name = "Deep", \\
    .model_version = "3.1", .output_size = sizeof(ml4t_slippage_output)
#define MAKES(symbol, ...) ml4t_model_table *symbol(const double *p, size_t n, char *e, size_t k) { \\
    (void)p; (void)n; (void)e; (void)k; \\
    static ml4t_model_table table = { TABLE, __VA_ARGS__ }; return &table; }
#define SIZE .context_size = sizeof(ml4t_slippage_context)
#define OURS .abi_major = ML4T_ABI_MAJOR
MAKES(make_wrong_major, .abi_major = 9, SIZE, .eval = (void (*)(void))fail)
MAKES(make_large_context, OURS, .context_size = 4000, .eval = (void (*)(void))fail)
MAKES(make_nan, OURS, SIZE, .eval = (void (*)(void))answer_nan)
MAKES(make_failing, OURS, SIZE, .eval = (void (*)(void))fail)
"""
RUST_LIBRARY = """
use ml4t_abi::{Answer, Kind, Model, SlippageContext, SlippageOutput, export_model};

#[derive(Clone)]
struct Deep;

impl Model for Deep {
    type Context = SlippageContext;
    type Output = SlippageOutput;
    const KIND: Kind = Kind::SLIPPAGE;
    const NAME: &'static core::ffi::CStr = c"Deep";

    fn new(_params: &[f64]) -> Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&mut self, context: &SlippageContext, _output: &mut SlippageOutput) -> Answer {
        panic!("a quantity of {} is too deep", context.quantity);
    }
}

export_model!(make_panic: Deep);
"""

# Runs a backtest that is expected to fail, then one that is not, in the same process.
PROGRAM = """
    import datetime as dt, importlib, json, sys

    def backtest(config):
        import polars as pl
        from ml4t.backtest import DataFeed, Strategy, run

        class Buys(Strategy):
            def on_data(self, timestamp, data, context, broker):
                broker.buy("XYZ", 1)

        rows = {"session": [dt.date(2024, 1, day) for day in (2, 3, 4, 5)], "symbol": ["XYZ"] * 4}
        prices = dict.fromkeys(("open", "high", "low", "close"), [10.0] * 4)
        frame = pl.DataFrame(rows | prices | {"volume": [1e6] * 4})
        return run(Buys, DataFeed(frame, stamp="session"), config=config)

    try:
        print("NO ERROR:", backtest(json.loads(sys.argv[1])).status)
    except Exception as error:
        print(str(error), *getattr(error, "__notes__", ()), sep="\\n")
    print("ALIVE")
    if sys.argv[3:]:
        # What cannot be imported beside it is tried again without it.
        sys.path.remove(sys.argv[3])
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.split(".")[0] == "ml4t"]:
            del sys.modules[name]
    print("SOUND:", backtest(json.loads(sys.argv[2])).status)
"""
# Gives the command line several lines in one process.
COMMANDS = """
    import json, sys
    from ml4t.core.cli import main

    for arguments in json.loads(sys.argv[1]):
        print("STATUS:", main(arguments), flush=True)
"""
CONFIG = """
[backtest]
name = "{name}"
output = "{folder}"
{more}

[broker]
slippage_model = {{ type = "{model}" }}

[[data_feeds]]
name = "bars"
type = "CsvFeed"
path = "bars.csv"
stamp = "session"

[[strategies]]
name = "buys"
type = "buys.py:Buys"
"""
BARS = "session,symbol,open,high,low,close,volume\n" + "".join(
    f"2024-01-0{day},XYZ,10,10,10,10,1000000\n" for day in (2, 3, 4, 5)
)
BUYS = """
    from ml4t.backtest import Strategy

    class Buys(Strategy):
        def on_data(self, timestamp, data, context, broker):
            broker.buy("XYZ", 1)
"""


@attrs.frozen
class Told:
    """What a process printed, and how it ended."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def names(self, *parts: str) -> None:
        """Fail unless every part is there."""
        for part in parts:
            assert part in self.text, f"{part!r} is not in:\n{self.text}"


@attrs.frozen
class Site:
    """A folder of installed distributions, first on the path of the processes that are started here."""

    folder: Path

    def install(
        self,
        name: str = "ml4t-odd",
        *,
        version: str = "1.2",
        entries: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        """Write a distribution as an installer leaves it: modules, metadata, entry points, record."""
        files = files or {}
        entries = {"odd": "ml4t_odd_plugin"} if entries is None else entries
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(
            "[ml4t]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        )
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))

    def odd(self, plugin: str = PLUGIN, model: str = MODEL) -> None:
        """Install `ml4t-odd` 1.2 with its plugin `odd` and its slippage model `Deep`."""
        self.install(files={"ml4t_odd_plugin.py": plugin, "ml4t_odd_models.py": model})

    def native(self, symbol: str, language: str = "c") -> None:
        """Install it with a model whose table comes from a library of C or Rust."""
        self.odd(model=NATIVE.replace("SYMBOL", symbol))
        {"c": self._compile_c, "rust": self._compile_rust}[language]()

    def _compile_c(self) -> None:
        if (compiler := shutil.which("cc")) is None:
            pytest.skip("no C compiler: cc is not on PATH")
        source = self.folder / "odd.c"
        source.write_text(C_LIBRARY)
        flags = ["-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", f"-I{ABI / 'include'}"]
        subprocess.run([compiler, *flags, str(source), "-o", str(self.folder / "libodd.so")], check=True)

    def _compile_rust(self) -> None:
        """Compile the interface, which has no dependency, and a model that panics; cargo is not needed."""
        if (compiler := shutil.which("rustc")) is None:
            pytest.skip("no Rust compiler: rustc is not on PATH")
        source = self.folder / "odd.rs"
        source.write_text(RUST_LIBRARY)
        build = [compiler, "--edition", "2024", "--cap-lints", "allow", "--out-dir", str(self.folder)]
        abi = [*build, "--crate-type", "rlib", "--crate-name", "ml4t_abi", str(ABI / "src/lib.rs")]
        subprocess.run(abi, check=True)
        extern = ["--extern", f"ml4t_abi={self.folder / 'libml4t_abi.rlib'}"]
        subprocess.run([*build, *extern, "--crate-type", "cdylib", str(source)], check=True)

    @property
    def is_imported(self) -> bool:
        """Whether any process has imported the plugin."""
        return (self.folder / "imported.txt").exists()

    def config(self, name: str, *, model: str = "odd:Deep", more: str = "") -> Path:
        """Write the configuration of a run, with its data and strategy beside it."""
        (self.folder / "bars.csv").write_text(BARS)
        (self.folder / "buys.py").write_text(textwrap.dedent(BUYS))
        path = self.folder / f"{name}.toml"
        path.write_text(CONFIG.format(name=name, folder=self.folder / "runs" / name, model=model, more=more))
        return path

    def _process(self, *command: str, **environ: str) -> Told:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CI", "PYTHON"))}
        plugins = [key for key in kept if key.startswith("ML4T_") and key != "ML4T_CACHE_DIR"]
        env = {key: value for key, value in kept.items() if key not in plugins}
        ran = subprocess.run(
            command,
            env=env | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"} | environ,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Told(ran.stdout + ran.stderr, ran.returncode)

    def backtest(
        self,
        config: Mapping[str, Any],
        *,
        sound: Mapping[str, Any] | None = None,
        without: bool = False,
        **environ: str,
    ) -> Told:
        """Run a backtest that may fail and a sound one in one process; `without` takes this folder away."""
        more = [json.dumps(sound or {}), *([str(self.folder)] if without else [])]
        told = self._process(
            sys.executable, "-c", textwrap.dedent(PROGRAM), json.dumps(config), *more, **environ
        )
        told.names("ALIVE\n", "SOUND: complete\n")
        assert told.status == 0
        return told

    def commands(self, *lines: list[str], **environ: str) -> Told:
        """Give the command line several lines in one process."""
        told = self._process(sys.executable, "-c", textwrap.dedent(COMMANDS), json.dumps(lines), **environ)
        assert told.status == 0, told.text
        assert told.text.count("STATUS:") == len(lines), "the process lives through all of them"
        return told

    def python(self, program: str) -> Told:
        """Run a program."""
        told = self._process(sys.executable, "-c", program)
        assert told.status == 0, told.text
        return told

    def doctor(self, *arguments: str, **environ: str) -> Told:
        """Ask `ml4t doctor` in a process of its own."""
        told = self._process(*COMMAND, *arguments, "doctor", **environ)
        assert "Traceback" not in told.text
        return told

    def doctor_of(self, config: Path, **environ: str) -> Told:
        """Ask `ml4t doctor CONFIG`."""
        return self._process(*COMMAND, "doctor", str(config), **environ)


def deep(**parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters of any type
    """Return a configuration that names the model `Deep` of the plugin `odd`."""
    return {"broker": {"slippage_model": {"type": "odd:Deep", **parameters}}}
