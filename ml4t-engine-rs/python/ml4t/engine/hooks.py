"""The run hooks: plugins that act before and after a run, and add to its manifest."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import Finding, PluginError

if TYPE_CHECKING:
    from ml4t.backtest.calendars import SessionTable
    from ml4t.core.plugins import PluginManager
    from ml4t.core.sources import Calendar
    from ml4t.engine.results import Results

__all__ = ["RunHooks", "all_calendars", "in_spite_of"]


_LOAD_WITHOUT = "give this run plugins without it: load_plugins(unwanted=config.backtest.blocked_plugins)"


class RunHooks:
    """Asks every plugin, in the order of their names.

    A plugin that raises before the run stops it: perhaps it was to guard it. Afterwards the results matter
    more, and what a plugin raises becomes a warning.
    """

    def __init__(self, plugins: PluginManager) -> None:
        self._plugins = plugins

    def before(self, run: Any) -> None:  # noqa: ANN401 - the engine, as the hook says
        """Call `ml4t_before_run`."""
        for name, answer in self._plugins.ask_each("ml4t_before_run", run=run):
            if isinstance(answer, Exception):
                msg = f"plugin {name!r} stopped the run in ml4t_before_run: {answer}"
                raise PluginError(msg) from answer

    def after(self, run: Any, results: Results) -> None:  # noqa: ANN401 - as above
        """Call `ml4t_after_run`."""
        for name, answer in self._plugins.ask_each("ml4t_after_run", run=run, result=results):
            if isinstance(answer, Exception):
                text = f"plugin {name!r} failed in ml4t_after_run: {answer!r}; the results are complete"
                warnings.warn(text, RuntimeWarning, stacklevel=3)

    def failed(self, run: Any, error: BaseException) -> None:  # noqa: ANN401 - as above
        """Call `ml4t_on_run_error`."""
        for name, answer in self._plugins.ask_each("ml4t_on_run_error", run=run, exc=error):
            if isinstance(answer, Exception):
                # An exception class may refuse notes; the exception itself matters more.
                with contextlib.suppress(Exception):
                    error.add_note(f"plugin {name!r} failed in ml4t_on_run_error: {answer!r}")

    def manifest(self, run: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Collect what `ml4t_manifest` adds.

        Raises
        ------
        PluginError
            If a plugin raises, answers no mapping, or gives a key that another has given.
        """
        found: dict[str, Any] = {}
        owner: dict[str, str] = {}
        for name, answer in self._plugins.ask_each("ml4t_manifest", run=run):
            if isinstance(answer, Exception):
                msg = f"plugin {name!r} failed in ml4t_manifest: {answer}"
                raise PluginError(msg) from answer
            for entries in answer:
                if not isinstance(entries, Mapping):
                    msg = f"plugin {name!r}: ml4t_manifest must return a mapping, found {entries!r}"
                    raise PluginError(msg)
                if clash := sorted(found.keys() & entries.keys()):
                    msg = (
                        f"plugins {owner[clash[0]]!r} and {name!r} both give the manifest entry {clash[0]!r}"
                    )
                    raise PluginError(msg)
                found |= entries
                owner |= dict.fromkeys(entries, name)
        return found


class _Calendars(Mapping[str, "Calendar | SessionTable"]):
    """Calendars by name; one that a plugin offers is imported when a run first asks for it."""

    def __init__(self, own: Mapping[str, Calendar | SessionTable], plugins: PluginManager) -> None:
        self._own = own
        self._plugins = plugins
        offers = [offer for offer in plugins.registry() if offer.kind == "calendar"]
        names = [name for offer in offers for name in (offer.spec.name, offer.qualified)]
        self._names = tuple(dict.fromkeys([*own, *names]))

    def __getitem__(self, name: str) -> Calendar | SessionTable:
        if name in self._own:
            return self._own[name]
        if name not in self._names:
            raise KeyError(name)
        found = self._plugins.resolve("calendar", name)
        calendar: Calendar = found() if callable(found) else found
        if not callable(getattr(calendar, "sessions", None)) or not hasattr(calendar, "timezone"):
            offer = self._plugins.find("calendar", name)
            what = "a timezone and a method sessions(start, end)"
            msg = f"calendar {offer.qualified!r}: {calendar!r} needs {what}"
            raise PluginError(msg)
        return calendar

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def all_calendars(
    own: Mapping[str, Calendar | SessionTable], plugins: PluginManager
) -> Mapping[str, Calendar | SessionTable]:
    """Return the caller's calendars and, where those have no such name, the ones that plugins offer."""
    return _Calendars(own, plugins)


def in_spite_of(blocked: Iterable[str], plugins: PluginManager) -> list[Finding]:
    """Find the plugins that a configuration blocks and that are loaded all the same.

    They were given to the run, or loaded before its configuration was known; what was imported cannot be
    taken back.
    """
    return [
        Finding(
            path=f"backtest.blocked_plugins[{index}]",
            message=f"{info}; {_LOAD_WITHOUT}",
            code="plugin",
            found=text,
        )
        for index, text in enumerate(blocked)
        for info in plugins.named(text)
        if info.status == "active"
    ]
