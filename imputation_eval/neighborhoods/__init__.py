"""Nearest-neighbour sets and distance blocks; nothing else in the package computes distances between all pairs."""

from imputation_eval.neighborhoods.distances import mean_distance, squared_distance_blocks
from imputation_eval.neighborhoods.search import nearest_neighbors

__all__ = ["mean_distance", "nearest_neighbors", "squared_distance_blocks"]
