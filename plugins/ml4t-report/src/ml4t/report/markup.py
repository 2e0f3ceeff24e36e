"""Small pieces of HTML, always escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

__all__ = ["Cell", "escape", "folded", "number", "percent", "section", "stamp", "table", "toned"]


def escape(value: object) -> str:
    """Return text that is safe inside an element or a quoted attribute."""
    return html.escape(str(value), quote=True)


def number(text: str) -> str:
    """Return a printed number with a true minus sign."""
    return escape(text).replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else escape(text)


def percent(value: float, digits: int = 2, *, sign: str = "%") -> str:
    """Print a fraction as per cent; what rounds to nothing has no sign."""
    text = f"{100 * value:,.{digits}f}"
    nothing = not any(digit in text for digit in "123456789")
    return number(text.removeprefix("-") if nothing else text) + sign


def stamp(value: datetime) -> str:
    """Print an instant to the minute, or to the second where it has seconds."""
    return value.strftime("%Y-%m-%d %H:%M:%S" if value.second else "%Y-%m-%d %H:%M")


def toned(value: float) -> str:
    """Return the class that colours a gain or a loss."""
    return "gain" if value > 0 else "loss" if value < 0 else ""


@attrs.frozen
class Cell:
    """A cell of a table.

    Attributes
    ----------
    markup : str
        Its content, escaped already.
    classes : str
        Style classes.
    key : float or str or None
        What sorting compares when it is not the text.
    style : str
        Inline style.
    title : str
        Text shown when pointing at it.
    """

    markup: str
    classes: str = ""
    key: float | str | None = None
    style: str = ""
    title: str = ""
    heading: bool = False

    def __str__(self) -> str:
        """Return the element."""
        settings = {
            "class": self.classes,
            "data-key": "" if self.key is None else str(self.key),
            "style": self.style,
            "title": self.title,
        }
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in settings.items() if value)
        tag = "th" if self.heading else "td"
        scope = ' scope="row"' if self.heading else ""
        return f"<{tag}{scope}{attributes}>{self.markup}</{tag}>"


def table(
    rows: Iterable[Sequence[Cell]],
    *,
    head: Sequence[str] = (),
    element_id: str,
    classes: str = "",
    caption: str = "",
    falling: int | None = None,
) -> str:
    """Return a table inside a box that scrolls by itself, so that the page never does sideways.

    Parameters
    ----------
    rows : iterable of sequences of Cell
        The body.
    head : sequence of str
        Column headings; one that starts with `<` is text, aligned left, the others are numbers.
    element_id : str
        Id of the table.
    classes : str
        Style classes; `sortable` gives clickable headings.
    caption : str
        What the table holds, for screen readers.
    falling : int, optional
        The column by which the rows are sorted, largest first.
    """
    cells = []
    for column, heading in enumerate(head):
        text = heading.removeprefix("<")
        align = ' class="text"' if heading.startswith("<") else ""
        order = ' aria-sort="descending"' if column == falling else ""
        cells.append(f'<th scope="col"{align}{order}>{escape(text)}</th>')
    top = f"<thead><tr>{''.join(cells)}</tr></thead>" if cells else ""
    title = f'<caption class="unseen">{escape(caption)}</caption>' if caption else ""
    body = "\n".join(f"<tr>{''.join(map(str, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table id="{element_id}" class="{escape(classes)}">{title}{top}'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def folded(title: str, content: str) -> str:
    """Return content that opens on demand."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def section(title: str, *content: str, element_id: str, note: str = "") -> str:
    """Return a section of the page with its heading and, if given, one line below it."""
    line = f'<p class="note">{note}</p>' if note else ""
    body = "\n".join(content)
    return f'<section id="{element_id}">\n<h2>{escape(title)}</h2>\n{line}\n{body}\n</section>'
