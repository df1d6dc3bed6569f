"""The README's examples run as they stand, in order, as a reader would type them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib as mpl
from sklearn.exceptions import ConvergenceWarning

README = Path(__file__).parents[1] / "README.md"


def test_python_blocks_run(capsys, tmp_path, monkeypatch):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)  # the examples write pictures
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 4
    namespace: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for block in blocks:
            exec(compile(block, str(README), "exec"), namespace)
    assert "ranks first" in capsys.readouterr().out


def test_blocks_are_about_ten_lines():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert max(len([line for line in block.splitlines() if line.strip()]) for block in blocks) <= 12
