"""Tables of results as text, Markdown and HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from analog_eval.devices import TIME_LABEL, in_words

__all__ = ["Cells", "Rendered", "cells", "number"]

Cells: TypeAlias = list[list[str]]


class Rendered(ABC):
    """A result that is shown as a title, a summary, a table and remarks: as text, Markdown and HTML."""

    def to_markdown(self, *, digits: int = 4) -> str:
        """Return the table as Markdown; several are one below the other.

        Parameters
        ----------
        digits : int, default=4
            Decimals.

        Returns
        -------
        str
        """
        return _markdown(self._cells(digits))

    def __repr__(self) -> str:
        title = f"{type(self).__name__}: {self._title()}"
        return "\n".join([title, self._summary(), *_text_lines(self._cells()), *self._remarks()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(line)}</li>" for line in self._remarks())
        head = f"<p><b>{escape(self._title())}</b><br>{escape(self._summary())}</p>"
        return f"<div>{head}{_html_table(self._cells())}<ul>{notes}</ul></div>"

    @abstractmethod
    def _cells(self, digits: int = 4) -> Cells: ...

    @abstractmethod
    def _title(self) -> str: ...

    @abstractmethod
    def _summary(self) -> str: ...

    @abstractmethod
    def _remarks(self) -> list[str]: ...


def cells(table: pd.DataFrame, digits: int = 4, level_label: str = "") -> Cells:
    """Return the header and the rows of a table, its index first, with numbers of `digits` decimals, times in words."""
    flat, n_index = table.reset_index(), table.index.nlevels
    if level_label == TIME_LABEL:
        # Seconds, by whatever name.
        level = table.index.names[-1]
        flat[level] = flat[level].map(in_words)
        flat = flat.rename(columns={level: "time"})
    rows = [list(map(str, flat.columns))]
    for values in flat.itertuples(index=False):
        rows.append([_cell(value, digits, i < n_index) for i, value in enumerate(values)])
    return rows


def number(value: float, digits: int) -> str:
    """Return a number in fixed decimals, or in powers of ten where those would show nothing."""
    if np.isnan(value):
        return "nan"
    # Squared errors can be of any size; fixed decimals would print them as 0 or as a wall of digits.
    return f"{value:.{digits}f}" if value == 0.0 or 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"


def _markdown(rows: Cells) -> str:
    """Return a Markdown table."""
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---:"] * len(header), *body))


def _text_lines(rows: Cells) -> list[str]:
    """Return the lines of a table in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _html_table(rows: Cells) -> str:
    header, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(value: Any, digits: int, is_index: bool) -> str:
    if isinstance(value, str | int | np.integer):
        return str(value)
    return f"{value:g}" if is_index else number(float(value), digits)
