"""The suite of data readers.

A reader is a function `read(uri, *, ...)` with named options. It returns a table that `DataFeed` takes
(polars, pandas or pyarrow), an iterator of such tables, or an event source: an instance of
`ml4t.core.sources.DataFeed`. What it cannot read is a `DataError`::

    class TestFolder(ReaderCompliance):
        reader = staticmethod(read)
        scheme = "folder"

        @pytest.fixture
        def uri(self, tmp_path):
            ...  # write a file and return its address
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from ml4t.backtest import DataFeed, Strategy, run
from ml4t.core.errors import Ml4tError
from ml4t.core.sources import DataFeed as EventSource
from ml4t.testing.asking import Made, fail
from ml4t.testing.capabilities import Capabilities
from ml4t.testing.models import load

__all__ = ["ReaderCompliance"]

THREADS = 4


class ReaderCompliance:
    """What holds for a reader.

    Attributes
    ----------
    reader : callable
        `staticmethod(read)`.
    scheme : str
        The name under which it is registered: a URI scheme or a file suffix.
    uri : str
        An address that it can read, or a fixture that returns one.
    missing : str
        An address of its form where nothing is.
    options : mapping
        Options for the reader.
    feed : mapping
        Keywords for `DataFeed`: what the stamps mean, names of columns.
    capabilities : Capabilities
        Of these `not_registered` is read.
    """

    kind: ClassVar[str] = "reader"
    reader: Any = None
    scheme: ClassVar[str] = ""
    plugin: ClassVar[str | None] = None
    uri: Any = None
    missing: ClassVar[str] = "/no/such/place"
    options: ClassVar[Mapping[str, Any]] = {}
    feed: ClassVar[Mapping[str, Any]] = {"stamp": "session"}
    capabilities: ClassVar[Capabilities] = Capabilities()

    @pytest.fixture(name="uri")
    def _given_uri(self) -> Made:
        return self.checked_uri()

    def checked_uri(self) -> str:
        """Return the address of the suite."""
        if not isinstance(self.uri, str):
            fail(
                f"{type(self).__name__}.uri is {self.uri!r}", "give an address, or a fixture that returns one"
            )
        return str(self.uri)

    def read(self, uri: str) -> Made:
        """Read an address with the options of the suite."""
        return self.reader(uri, **self.options)

    def test_it_is_found_by_its_scheme(self) -> None:
        if self.capabilities.not_registered:
            pytest.skip("Capabilities(not_registered=True)")
        full = f"{self.plugin}:{self.scheme}" if self.plugin else self.scheme
        try:
            offer = load().find(self.kind, full)
        except Exception as error:
            fail(
                f"no plugin offers the reader {full!r}: {error}",
                "install the distribution (pip install -e .) and return ReaderSpec(...) from "
                "ml4t_register_readers; `ml4t plugins --failed` shows what could not be loaded",
            )
        if offer.spec.load() is not inspect.unwrap(self.reader):
            fail(f"{offer.qualified} is {offer.spec.target}", f"let its target name {self.reader!r}")
        if "lazy" in offer.spec.capabilities and not self._is_lazy_declared():
            fail(f"{offer.qualified} says that it is lazy", "return a polars LazyFrame, or take lazy back")

    def _is_lazy_declared(self) -> bool:
        hint = str(inspect.signature(self.reader).return_annotation)
        return "LazyFrame" in hint

    def test_a_backtest_runs_on_what_it_reads(self, uri: str) -> None:
        table = self.read(uri)
        table = _rows(table) if isinstance(table, Iterator) else table
        feed = table if isinstance(table, EventSource) else DataFeed(table, **self.feed)
        found = run(Strategy, feed)
        if found.nav.height == 0:
            fail(f"a backtest on {uri} has no session", "return the rows that are there, with their stamps")

    def test_reading_twice_gives_the_same_rows(self, uri: str) -> None:
        first, second = (_rows(self.read(uri)) for _ in range(2))
        if not first.equals(second):
            fail(f"reading {uri} twice gives different rows", "read from the beginning each time, and sort")

    def test_readers_in_threads_give_the_same_rows(self, uri: str) -> None:
        alone = _rows(self.read(uri))
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda _: _rows(self.read(uri)), range(THREADS)))
        if not all(alone.equals(each) for each in found):
            fail(
                f"reading {uri} in {THREADS} threads gives different rows", "keep no open file between calls"
            )

    def test_what_is_not_there_is_an_error_that_names_it(self) -> None:
        try:
            self.read(self.missing)
        except Ml4tError as error:
            if self.missing.rpartition("/")[2] not in str(error):
                fail(f"the error does not name {self.missing}: {error}", "put the address into the message")
            return
        except Exception as error:
            fail(
                f"{self.missing} raised {type(error).__name__}: {error}",
                "raise ml4t.core.errors.DataError, with the address, what was expected and what to do",
            )
        fail(f"{self.missing} was read", "raise ml4t.core.errors.DataError where nothing is")

    def test_an_unknown_option_is_refused(self, uri: str) -> None:
        try:
            self.reader(uri, **self.options, no_such_option=1)
        except (TypeError, Ml4tError):
            return
        fail("no_such_option is accepted", "name the options as keywords; take no **kwargs")

    def test_it_does_not_change_what_it_was_given(self, uri: str) -> None:
        options = copy.deepcopy(dict(self.options))
        self.reader(uri, **options)
        if options != dict(self.options):
            fail("the reader changes the values of its options", "copy a list or mapping before changing it")


def _rows(table: Made) -> Made:
    """Return what was read as a polars frame."""
    import polars as pl

    if isinstance(table, EventSource):
        events = []
        while (event := table.get_next_event()) is not None:
            events.append(repr(event))
        return pl.DataFrame({"event": events})
    if isinstance(table, Iterator):
        return pl.concat([_rows(each) for each in table], how="vertical_relaxed")
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    return table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)
