"""Pictures of rankings; takes plain tables. Importing this package does not import matplotlib."""

from imputation_eval.plots.columns import Column, density_plot
from imputation_eval.plots.matrices import pairwise_plot, rank_plot
from imputation_eval.plots.rows import local_plot
from imputation_eval.plots.scores import forest_plot, seconds_plot

__all__ = ["Column", "density_plot", "forest_plot", "local_plot", "pairwise_plot", "rank_plot", "seconds_plot"]
