"""The pages of the documentation: their examples run, their commands exist, and the reference has every public name."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from sklearn.exceptions import ConvergenceWarning

from coreset.cli.command import _parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
REFERENCE = {
    "coreset": "coreset",
    "coreset.quantizers": "quantizers",
    "coreset.sources": "sources",
    "imputation_eval": "imputation_eval",
    "imputation_eval.metrics": "metrics",
    "analog_eval": "analog_eval",
    "analog_eval.normalization": "normalization",
    "analog_eval.training": "training",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w+)\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [code for language, code in found if language in languages]


def commands(path: Path) -> list[list[str]]:
    """Words of every command of the page; what a command prints is left out."""
    found = []
    for block in blocks(path, "console", "bash"):
        lines = block.splitlines()
        found += [line[2:] for line in lines if line.startswith("$ ")] or lines
    return [shlex.split(line, comments=True) for line in found]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
@pytest.mark.timeout(300)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    namespace: dict[str, object] = {"__name__": "__page__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for block in blocks(page, "python"):
            exec(compile(block, name_of(page), "exec"), namespace)
    plt.close("all")


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=name_of)
def test_commands_are_ones_that_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for words in commands(page):
        if words[:3] == ["ray", "job", "submit"]:
            words = words[words.index("--") + 1 :]
        match words:
            case ["coreset", *arguments]:
                _parser().parse_args(arguments)
            case ["make", target]:
                assert target in targets
            case ["pip", "install", what]:
                assert set(re.findall(r"\w+", what)) <= set(extras)
            case ["python", script, *_]:
                assert (ROOT / script).is_file()
            case [] | ["cd", _]:
                pass
            case _:
                pytest.fail(f"nothing checks the command {shlex.join(words)}")


def test_options_of_the_command_are_on_its_page():
    """Both ways, so that neither an option nor a line of the page is left behind."""
    page = (DOCS / "api/cli.md").read_text(encoding="utf-8")
    subparsers = next(action for action in _parser()._actions if action.choices)
    for name, parser in subparsers.choices.items():
        section = page.split(f"## `coreset {name}")[1].split("\n## ")[0]
        told = set(re.findall(r"^\| `(--[\w-]+)", section, flags=re.MULTILINE))
        real = {action.option_strings[0] for action in parser._actions if action.option_strings} - {"-h"}
        assert told == real, name


@pytest.mark.parametrize("package", REFERENCE)
def test_reference_has_every_public_name(package):
    page = (DOCS / f"api/{REFERENCE[package]}.md").read_text(encoding="utf-8")
    described = re.findall(
        rf"^\.\. (?:auto(?:class|function|data|exception)|py:data):: {package}\.(\w+)$", page, re.MULTILINE
    )
    linked = re.findall(rf"\{{py:obj\}}`{package}\.(\w+) <[\w.]+>`", page)
    assert sorted(described + linked) == sorted(importlib.import_module(package).__all__)


def test_links_of_the_reference_lead_somewhere():
    every = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for target in re.findall(r"\{py:obj\}`[\w.]+ <([\w.]+)>`", every):
        assert re.search(rf"^\.\. auto\w+:: {re.escape(target)}$", every, re.MULTILINE), target


def test_tests_that_a_promise_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (DOCS / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for path, test in named:
        assert re.search(rf"^\s*def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (path, test)


def test_bars_of_norms_keep_their_size_beside_an_exponent():
    pytest.importorskip("docutils.utils.math.latex2mathml")
    spec = importlib.util.spec_from_file_location("mathml", DOCS / "_ext/mathml.py")
    mathml = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mathml)
    drawn = mathml._converted(r"\lVert p - c\rVert^2", None, as_block=False)
    assert re.findall(r"<mo([^>]*)>‖", drawn) == [' class="mathopen" stretchy="false"', ' stretchy="false"']
