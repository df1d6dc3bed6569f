"""Tables of results as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

__all__ = ["Cells", "cells", "html", "markdown", "number", "text_lines"]

Cells: TypeAlias = list[list[str]]


def cells(table: pd.DataFrame, digits: int = 4) -> Cells:
    """Return the header and the rows of a table, its index first, with numbers of `digits` decimals."""
    flat = table.reset_index()
    n_index = table.index.nlevels
    rows = [list(map(str, flat.columns))]
    for values in flat.itertuples(index=False):
        rows.append([_cell(value, digits, i < n_index) for i, value in enumerate(values)])
    return rows


def markdown(rows: Cells) -> str:
    """Return a Markdown table."""
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---:"] * len(header), *body))


def text_lines(rows: Cells) -> list[str]:
    """Return the lines of a table in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def html(title: str, summary: str, tables: Sequence[Cells], remarks: Sequence[str]) -> str:
    """Return a title, a summary, tables and a list of remarks, escaped."""
    notes = "".join(f"<li>{escape(line)}</li>" for line in remarks)
    body = "".join(map(_html_table, tables))
    return f"<div><p><b>{escape(title)}</b><br>{escape(summary)}</p>{body}<ul>{notes}</ul></div>"


def number(value: float, digits: int) -> str:
    """Return a number in fixed decimals, or in powers of ten where those would show nothing."""
    if np.isnan(value):
        return "nan"
    # Squared errors can be of any size; fixed decimals would print them as 0 or as a wall of digits.
    return f"{value:.{digits}f}" if value == 0.0 or 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"


def _html_table(rows: Cells) -> str:
    header, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(value: Any, digits: int, is_index: bool) -> str:
    if isinstance(value, str | int | np.integer):
        return str(value)
    return f"{value:g}" if is_index else number(float(value), digits)
