"""Settings of the documentation site; `make docs` builds it, without a network."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

project = "coreset-eval"
author = "The coreset-eval contributors"
copyright = f"{author}. Apache-2.0"
version = release = version_of("coreset-eval")

extensions = ["mathml", "myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_ext"]
templates_path: list[str] = []

# Docstrings name things in single backquotes: links where there is something to link to, plain code elsewhere.
default_role = "py:obj"
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False  # autodoc lists them
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 80

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
# Pages written for the repository link to files beside the docs; the site has these as downloads.
html_math_renderer = "mathml"

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "friendly"


def setup(app: Any) -> None:
    """Leave out what classes inherit from foreign ones: scikit-learn, torch and Python document that themselves."""
    app.connect("autodoc-skip-member", _is_foreign)


def _is_foreign(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    member = member.fget if isinstance(member, property) else member
    root = (getattr(member, "__module__", None) or "").partition(".")[0]
    return None if root in ("coreset", "imputation_eval", "analog_eval") else True
