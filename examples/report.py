"""The demo's report: tables and pictures in one self-contained HTML page."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222;
       background: #fff; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #eee; text-align: right; }
th { background: #f6f6f6; } td { white-space: nowrap; } .wide { overflow-x: auto; }
figure { margin: 1rem 0; } img { max-width: 100%; }
"""


class Report:
    """Collects sections in order and writes them, the pictures and a page into a folder.

    Parameters
    ----------
    folder : Path
        Made if absent.
    title : str
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self._parts = [f"<h1>{html.escape(title)}</h1>"]
        self._sections = 0
        folder.mkdir(parents=True, exist_ok=True)

    def heading(self, text: str) -> None:
        """Begin a section, on the page and on the terminal."""
        self._sections += 1
        print(f"\n== {self._sections}. {text} ==", flush=True)
        self._parts.append(f"<h2>{self._sections}. {html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        print(text, flush=True)
        self._parts += [f"<p>{html.escape(line)}</p>" for line in text.splitlines() if line]

    def table(self, table: pd.DataFrame, **formats: Any) -> None:
        """Add a table; keyword arguments go to pandas."""
        print(table.to_string(**formats), flush=True)
        self._parts.append(f'<div class="wide">{table.to_html(border=0, **formats)}</div>')

    def picture(self, name: str, figure: Figure, caption: str) -> None:
        """Write a picture as PNG and put it on the page."""
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=130, bbox_inches="tight")
        data = base64.b64encode(path.read_bytes()).decode()
        alt = html.escape(caption)
        image = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
        self._parts.append(f"<figure>{image}<figcaption>{alt}</figcaption></figure>")
        print(f"[picture: {path}]", flush=True)

    def write(self) -> Path:
        """Write the page and return its path."""
        path = self.folder / "report.html"
        body = "\n".join(self._parts)
        path.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>coreset-eval</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{_STYLE}</style><body>{body}</body></html>",
            encoding="utf-8",
        )
        return path
