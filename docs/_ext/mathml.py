"""Formulas as MathML, which browsers draw by themselves: no script, no font and no network."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from docutils.utils import math as docutils_math
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)
# Bars of norms, which browsers would stretch to their exponent, below the line; TeX stretches what \left precedes.
_BARS = re.compile(r"<mo( class=\"mathopen\")?>(?=‖</mo>)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name "mathml"."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_converted(node.astext(), node, as_block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    code = node.astext()
    if "\\begin{align" not in code and ("\\\\" in code or "&" in code):
        code = f"\\begin{{aligned}}{code}\\end{{aligned}}"
    label = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    translator.body.append(f'<div class="math"{label}>{_converted(code, node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _converted(code: str, node: nodes.Node, *, as_block: bool) -> str:
    known = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", code.replace("\\dots", "\\ldots"))  # which it would misread
    try:
        return _BARS.sub(r'<mo\1 stretchy="false">', latex2mathml.tex2mathml(known, as_block=as_block))
    except (docutils_math.MathError, IndexError) as error:
        _LOGGER.warning("%s in the formula %s", error, code, location=node)
        return f"<code>{html.escape(code)}</code>"
