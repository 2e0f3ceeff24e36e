"""A strategy that is watched: what it decides, when, from which line, and, on demand, what it reads."""

from __future__ import annotations

import functools
import linecache
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ml4t.backtest.audit.compare import Decision, plain
from ml4t.core.strategy import CALLBACKS, Strategy, overridden_callbacks

__all__ = ["Enough", "Read", "Recorder", "is_own", "place_of", "watch"]

ORDERS = frozenset(
    "submit_order buy sell execute bracket modify_order cancel_order convert order_target_percent"
    " order_target_value order_target_quantity order_target_weights close_position set_position_rules".split()
)
_PACKAGE = str(Path(__file__).resolve().parents[2])
_LIBRARY = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib")})


class Enough(BaseException):
    """Ends a run behind the instant up to which it is compared; nothing a strategy catches."""


@attrs.frozen
class Read:
    """A value that a strategy read: what it is called, whose it is, and the line that read it."""

    at_ns: int
    name: str
    symbol: str
    value: Any
    place: str = attrs.field(default="", eq=False)


@functools.cache
def is_own(filename: str) -> bool:
    """Say whether a source is the user's: no library, nothing of ml4t."""
    if filename.startswith("<frozen") or filename == "<string>":
        return False
    path = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    inside = path.startswith(_PACKAGE) or "site-packages" in path or f"{Path('ml4t', 'core')}" in path
    return not inside and not path.startswith(_LIBRARY)


def place_of(depth: int = 1) -> str:
    """Return file, line and text of the nearest caller whose source is the user's."""
    frame: Any = sys._getframe(depth)  # noqa: SLF001 - `inspect.stack` reads every source file on the way
    while frame is not None and not is_own(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    name, line = frame.f_code.co_filename, frame.f_lineno
    return f"{Path(name).name}:{line}: {linecache.getline(name, line).strip()}".rstrip(": ")


@attrs.define(eq=False)
class Recorder:
    """What one run of a strategy did.

    Attributes
    ----------
    until_ns
        The first callback after it ends the run; None lets it go to its end.
    traces
        Whether reads of market data are written down as well.
    keeps_state
        Whether the numbers a strategy keeps in its attributes are.
    """

    until_ns: int | None = None
    traces: bool = False
    keeps_state: bool = False
    decisions: list[Decision] = attrs.field(factory=list)
    reads: list[Read] = attrs.field(factory=list)
    state: dict[str, dict[int, tuple[float, ...]]] = attrs.field(factory=dict)
    view: Any = None
    start_ns: int = 0
    is_stopping: bool = False
    calls: bool = False

    def now(self) -> int:
        """Return the present, UTC ns; before the first event the begin of the run."""
        try:
            return int(self.view.timestamp.ns)
        except Exception:
            return self.start_ns

    def decide(self, what: str, *said: Any) -> None:  # noqa: ANN401 - plain values
        """Write down a decision."""
        # What a strategy does when its data end, it does when they end.
        if not self.is_stopping:
            self.decisions.append(Decision(self.now(), what, said, place_of(2)))

    def read(self, name: str, symbol: str, value: Any) -> None:  # noqa: ANN401 - what a view returns
        """Write down a read."""
        if isinstance(value, np.ndarray):
            value = tuple(value.ravel().tolist())
        self.reads.append(Read(self.now(), name, symbol, plain(value), place_of(2)))

    def keep(self, strategy: Strategy) -> None:
        """Write down the numbers in a strategy's attributes."""
        now = self.now()
        for name, value in vars(strategy).items():
            numbers = _numbers(value)
            if numbers:
                self.state.setdefault(name, {})[now] = numbers


def _numbers(value: Any) -> tuple[float, ...]:  # noqa: ANN401 - any attribute
    if isinstance(value, float):
        return (value,)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size <= 64:
        return tuple(value.ravel().tolist())
    if (
        isinstance(value, dict)
        and 0 < len(value) <= 64
        and all(isinstance(each, float) for each in value.values())
    ):
        return tuple(value[key] for key in sorted(value, key=str))
    return ()


def watch(strategy: Strategy, recorder: Recorder) -> Strategy:
    """Have a recorder told whatever a strategy does; the strategy itself decides as ever."""
    recorder.calls = True
    own = vars(strategy)
    bind = strategy.bind
    wrapped = {name: _callback(strategy, name, recorder) for name in _called(strategy)}

    def bound(runtime: Any, *, broker: Any, data: Any) -> None:  # noqa: ANN401 - of the engine
        recorder.view = data
        given = _View(data, recorder) if recorder.traces else data
        bind(_Runtime(runtime, recorder), broker=_Broker(broker, recorder), data=given)

    own["bind"] = bound
    own.update(wrapped)
    return strategy


def _called(strategy: Strategy) -> list[str]:
    overridden = overridden_callbacks(strategy)
    return [name for name in CALLBACKS if name in overridden and name != "on_start"]


def _callback(strategy: Strategy, name: str, recorder: Recorder) -> Callable[..., Any]:
    return _stopping(getattr(strategy, name), strategy, recorder, name)


def _stopping(
    function: Callable[..., Any],
    strategy: Any,  # noqa: ANN401 - None where a scheduled callback is no method
    recorder: Recorder,
    name: str,
) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> Any:  # noqa: ANN401 - as the callback
        if recorder.until_ns is not None and recorder.now() > recorder.until_ns:
            raise Enough
        recorder.is_stopping = name == "on_stop"
        if name == "on_data":
            timestamp, data, context, _ = args
            if recorder.traces:
                data, context = _View(data, recorder), _Row(context, "context", "", recorder)
            args = (timestamp, data, context, strategy.broker)
        try:
            return function(*args)
        finally:
            if recorder.keeps_state:
                recorder.keep(strategy)

    return call


class _Proxy:
    """Stands before an object of the engine and hands everything on."""

    def __init__(self, inner: Any, recorder: Recorder) -> None:  # noqa: ANN401 - of the engine
        self._inner = inner
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the engine
        return getattr(self._inner, name)


class _Broker(_Proxy):
    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the engine
        found = getattr(self._inner, name)
        if name not in ORDERS:
            return found
        recorder = self._recorder

        def call(*args: Any, **terms: Any) -> Any:  # noqa: ANN401 - as the method
            asked = (plain(args), plain(terms))
            try:
                answer = found(*args, **terms)
            except Exception as error:
                recorder.decide(name, *asked, f"refused: {type(error).__name__}")
                raise
            recorder.decide(name, *asked, plain(answer))
            return answer

        return call


class _Runtime(_Proxy):
    def record(self, values: Any) -> None:  # noqa: ANN401 - a mapping
        self._inner.record(values)
        self._recorder.decide("record", plain(dict(values)))

    def log(self, message: str, level: str) -> None:
        self._inner.log(message, level)
        self._recorder.decide("log", message, level)

    def schedule(self, callback: Any, rule: Any) -> None:  # noqa: ANN401 - a callable, a rule
        if callback is not None and callable(callback):
            callback = _stopping(callback, getattr(callback, "__self__", None), self._recorder, "scheduled")
        self._inner.schedule(callback, rule)


class _View(_Proxy):
    """The market data of an instant, with every read written down."""

    def __getitem__(self, symbol: Any) -> Any:  # noqa: ANN401 - a row
        return _Row(self._inner[symbol], "", str(symbol), self._recorder)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._inner

    def __iter__(self) -> Any:  # noqa: ANN401 - of symbols
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)

    def values(self) -> list[Any]:
        return [self[symbol] for symbol in self._inner]

    def items(self) -> list[tuple[str, Any]]:
        return [(symbol, self[symbol]) for symbol in self._inner]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the engine
        found = getattr(self._inner, name)
        recorder = self._recorder
        if isinstance(found, np.ndarray):
            recorder.read(name, "", found)
            return found
        if name not in ("history", "get_latest_price", "get_latest_bar", "get_feature", "get"):
            return found

        def call(*args: Any, **terms: Any) -> Any:  # noqa: ANN401 - as the method
            answer = found(*args, **terms)
            symbol = next(
                (str(each) for each in args if isinstance(each, str) and each in self._inner.symbols), ""
            )
            if isinstance(answer, dict):
                for key, each in answer.items():
                    recorder.read(f"{name}({args!r})", str(key), each)
            elif isinstance(answer, float | np.ndarray):
                recorder.read(f"{name}{args!r}", symbol, answer)
            elif hasattr(answer, "keys"):
                return _Row(answer, "", symbol, recorder)
            return answer

        return call


class _Row(_Proxy):
    def __init__(self, inner: Any, prefix: str, symbol: str, recorder: Recorder) -> None:  # noqa: ANN401
        super().__init__(inner, recorder)
        self._prefix, self._symbol = prefix, symbol

    def _told(self, field: Any, value: Any) -> Any:  # noqa: ANN401 - of a row
        if hasattr(value, "keys"):
            return _Row(value, f"{field}.", self._symbol, self._recorder)
        self._recorder.read(f"{self._prefix}{field}", self._symbol, value)
        return value

    def __getitem__(self, field: Any) -> Any:  # noqa: ANN401 - of a row
        return self._told(field, self._inner[field])

    def get(self, field: Any, default: Any = None) -> Any:  # noqa: ANN401 - of a row
        return self._told(field, self._inner.get(field, default))

    def __contains__(self, field: object) -> bool:
        return field in self._inner

    def __iter__(self) -> Any:  # noqa: ANN401 - of names
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)
