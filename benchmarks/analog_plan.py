"""What the weight-noise studies ask: their cells, and the pairs of cells that answer a published claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from analog_cells import ALL_ROWS, SAMPLE, SCATTER, SUMMARY, Cell
from analog_nets import EXAMPLES, Net

SIZES = {  # depths at the width of the example, widths at its depth
    "mlp": ((1, 3, 6), (16, 64, 256)),
    "vgg": ((2, 4, 6), (4, 8, 16)),
    "resnet": ((2, 4, 6), (4, 8, 16)),
    "mobilenet": ((2, 4, 6), (8, 16, 32)),
}
PARTLY = {"mlp": (6, 64, (1, 2, 4)), "vgg": (4, 8, (1, 2, 3)), "resnet": (4, 8, (1, 3, 6))}  # depth, width, norms
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RATED = (Net("mlp", 3, 64), Net("mlp", 3, 64, "l2"), Net("vgg", 2, 8), Net("vgg", 2, 8, "l2"))
SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)
SCATTERED = 0.01  # at more than this share, summaries of these images hold all rows: no scatter, and no sample
SUMMARISED = (Net("mlp", 3, 64), Net("vgg", 2, 8))


@dataclass(frozen=True)
class Pair:
    """Two cells on the same seeds; ``claim``, if it is published, says that the first one is the more robust."""

    claim: str
    first: Cell
    second: Cell
    view: str = "weights"
    published: bool = True


@dataclass(frozen=True)
class Study:
    """Cells and pairs on one data set, and the views of every cell."""

    cells: tuple[Cell, ...]
    pairs: tuple[Pair, ...]
    views: tuple[str, ...] = ("weights",)


def families(data: str) -> Study:
    """Nets by family, depth and width, without and with batch norm."""
    cells, pairs = [], []
    for norm in ("none", "l2"):
        for family, (depths, widths) in SIZES.items():
            depth, width = EXAMPLES[family]
            deep = [Cell(data, Net(family, other, width, norm)) for other in depths]
            wide = [Cell(data, Net(family, depth, other, norm)) for other in widths]
            cells += [*deep, *wide]
            pairs += [Pair("deeper is more robust", deep[-1], deep[0])]
            pairs += [Pair("wider is more robust", wide[-1], wide[0])]
        vgg, *others = (Cell(data, Net(family, *EXAMPLES[family], norm)) for family in ("vgg", "resnet", "mobilenet"))
        pairs += [Pair("VGG is more robust than other families", vgg, other) for other in others]
    return Study(tuple(dict.fromkeys(cells)), tuple(pairs))


def norms(data: str) -> Study:
    """Nets with, without, and by number of batch-norm layers; noise on kernels, and on all that a net keeps."""
    views = ("weights", "state")
    cells, pairs = [], []
    for family, (depth, width, counts) in PARTLY.items():
        none, every = (Cell(data, Net(family, depth, width, norm)) for norm in ("none", "l2"))
        some = [Cell(data, replace(every.net, n_norms=count)) for count in counts]
        cells += [none, *some, every]
        for view in views:
            pairs += [Pair("more robust without batch norm", none, every, view)]
            pairs += [Pair("more robust with one batch norm than with all", some[0], every, view)]
    without, with_norm = (Cell(data, Net("mobilenet", *EXAMPLES["mobilenet"], norm)) for norm in ("none", "l2"))
    pairs += [Pair("more robust without batch norm", without, with_norm, view) for view in views]
    return Study((*cells, without, with_norm), tuple(pairs), views)


def rates(data: str) -> Study:
    """Nets by learning rate; validation rows choose among them."""
    cells = [Cell(data, net, rate) for net in RATED for rate in RATES]
    pairs = [
        Pair("a higher rate is more robust", Cell(data, net, high), Cell(data, net, low))
        for net in RATED
        for low, high in ((0.005, 0.05),)
    ]
    return Study(tuple(cells), tuple(pairs), ("weights", "validation"))


def kinds(data: str) -> Study:
    """Batch norm by the standard deviation, by absolute values and by the largest of them."""
    views = ("weights", "state")
    cells, pairs = [], []
    for family, (depth, width) in (EXAMPLES | {"mlp": (6, 64)}).items():
        usual = Cell(data, Net(family, depth, width, "l2"))
        cells.append(usual)
        for norm, name in (("l1", "L1"), ("topk", "TopK")):
            other = replace(usual, net=replace(usual.net, norm=norm))
            cells.append(other)
            pairs += [Pair(f"{name} batch norm is more robust than L2", other, usual, view) for view in views]
    return Study(tuple(cells), tuple(pairs), views)


def summaries(data: str) -> Study:
    """Nets trained on summaries and on samples of a share of the bytes, against the same nets on all rows."""
    cells, pairs = [], []
    for net in SUMMARISED:
        whole = Cell(data, net)
        cells.append(whole)
        for share in SHARES:
            sources = (SUMMARY, SCATTER, SAMPLE) if share <= SCATTERED else (SUMMARY,)
            for source in sources:
                cells.append(replace(whole, source=source, share=share))
                claim = f"{source} of {share:.1%} against {ALL_ROWS}"
                pairs.append(Pair(claim, cells[-1], whole, published=False))
    return Study(tuple(cells), tuple(pairs))


STUDIES: dict[str, Callable[[str], Study]] = {
    "families": families,
    "norms": norms,
    "rates": rates,
    "kinds": kinds,
    "summaries": summaries,
}


def views_of(data: str) -> dict[Cell, tuple[str, ...]]:
    """All views of each cell that any study asks for, so that no cell is trained twice."""
    found: dict[Cell, dict[str, None]] = {}
    for build in STUDIES.values():
        study = build(data)
        for cell in study.cells:
            found.setdefault(cell, {}).update(dict.fromkeys(study.views))
    return {cell: tuple(views) for cell, views in found.items()}
