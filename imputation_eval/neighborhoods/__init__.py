"""Nearest-neighbour sets and distance blocks; nothing else in the package computes distances between all pairs."""

from imputation_eval.neighborhoods.counting import Reference, count_in_second
from imputation_eval.neighborhoods.distances import (
    Kernel,
    center_of,
    mean_over_pairs,
    mean_within,
    median_distance,
    squared_distance_blocks,
)
from imputation_eval.neighborhoods.search import nearest_neighbors, suits_tree

__all__ = [
    "Kernel",
    "Reference",
    "center_of",
    "count_in_second",
    "mean_over_pairs",
    "mean_within",
    "median_distance",
    "nearest_neighbors",
    "squared_distance_blocks",
    "suits_tree",
]
