"""Sheets: rows of values, shown as what fits the reader: a table, records, or whole lines for a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

NOTHING: Final = "-"
"""Stands where there is no value, so that every line of a pipe has as many columns."""

_GAP: Final = 2
_ROOMY: Final = 16
_NARROW: Final = 8


class Kind(Enum):
    """How the values of a column behave where room is short."""

    TEXT = auto()
    """Folded into several lines."""

    EXACT = auto()
    """Never broken: an instant, an id, a word of ours."""

    NUMBER = auto()
    """Never broken, and aligned to the right."""

    SPARE = auto()
    """Never broken; left out of a terminal that has no room for it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns, and rows with a value for each."""

    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[object, ...], ...]

    def lines(self) -> list[str]:
        """Return a line for the names and one for each row: aligned, never folded or cut."""
        names = tuple(name for name, _ in self.columns)
        rows = [names, *(tuple(_exactly(value) for value in row) for row in self.rows)]
        widths = [max(cell_len(row[place]) for row in rows) for place in range(len(names))]
        return [self._line(row, widths) for row in rows]

    def records(self) -> list[str]:
        """Return a line for each value beside its name, and an empty one between rows."""
        width = max(cell_len(name) for name, _ in self.columns) + _GAP
        lines: list[str] = []
        for row in self.rows:
            lines += [""] if lines else []
            for (name, _), value in zip(self.columns, row, strict=True):
                lines.append(f"{name:<{width}}{_exactly(value)}")
        return lines

    def table(self, width: int) -> RenderableType:
        """Return what shows these rows best on a terminal of this width."""
        columns = list(self.columns)
        while self._needs(columns, _ROOMY) > width and any(kind is Kind.SPARE for _, kind in columns):
            spare = max(place for place, (_, kind) in enumerate(columns) if kind is Kind.SPARE)
            del columns[spare]
        if self._needs(columns, _NARROW) > width:
            return Group(*(Text(line, overflow="fold") for line in self.records()))
        return self._drawn(columns)

    def _drawn(self, columns: Sequence[tuple[str, Kind]]) -> Table:
        table = Table(
            box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
        )
        for name, kind in columns:
            table.add_column(
                name,
                justify="right" if kind is Kind.NUMBER else "left",
                no_wrap=kind is not Kind.TEXT,
                overflow="fold",
            )
        places = self._places(columns)
        for row in self.rows:
            table.add_row(*(Text(_briefly(row[place])) for place in places))
        return table

    def _needs(self, columns: Sequence[tuple[str, Kind]], enough: int) -> int:
        """Return the width that these columns need, where `enough` will do for text."""
        total = _GAP * (len(columns) - 1)
        for place, (name, kind) in zip(self._places(columns), columns, strict=True):
            widest = max([cell_len(name), *(cell_len(_briefly(row[place])) for row in self.rows)])
            total += min(widest, enough) if kind is Kind.TEXT else widest
        return total

    def _places(self, columns: Sequence[tuple[str, Kind]]) -> list[int]:
        return [self.columns.index(column) for column in columns]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = []
        for (_, kind), text, width in zip(self.columns, row, widths, strict=True):
            space = " " * (width - cell_len(text))
            cells.append(space + text if kind is Kind.NUMBER else text + space)
        return (" " * _GAP).join(cells).rstrip()


def sheet(columns: Sequence[tuple[str, Kind]], rows: Iterable[Sequence[object]]) -> Sheet:
    """Return a sheet of these rows."""
    return Sheet(tuple(columns), tuple(tuple(row) for row in rows))


def record(**values: object) -> Sheet:
    """Return a sheet of one row, whose columns are named by the keywords."""
    columns = tuple((name.replace("_", " "), Kind.TEXT) for name in values)
    return Sheet(columns, (tuple(values.values()),))


def visible(text: str) -> str:
    """Return `text` with every character that a terminal would act on, or not show, written as its escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def counted(count: int, one: str, many: str) -> str:
    """Return how many there are of what, in words that agree."""
    return f"{count} {one if count == 1 else many}"


def _exactly(value: object) -> str:
    return _shown(value, lambda instant: instant.isoformat().replace("+00:00", "Z"))


def _briefly(value: object) -> str:
    return _shown(value, lambda instant: instant.strftime("%Y-%m-%d %H:%M:%SZ"))


def _shown(value: object, instant: Callable[[datetime], str]) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return instant(value.astimezone(UTC))
    return visible(str(value))
