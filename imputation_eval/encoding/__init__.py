"""From a table of mixed columns to one scaled numeric space in which distances make sense, and back."""

from imputation_eval.encoding.roles import check_categorical, column_roles
from imputation_eval.encoding.table import TableEncoder, encode_pair, stack_cells
from imputation_eval.encoding.values import (
    LARGEST_VALUE,
    as_cells,
    as_float,
    holds_numbers,
    is_time,
    plain_floats,
    robust_scale,
)

__all__ = [
    "LARGEST_VALUE",
    "TableEncoder",
    "as_cells",
    "as_float",
    "check_categorical",
    "column_roles",
    "encode_pair",
    "holds_numbers",
    "is_time",
    "plain_floats",
    "robust_scale",
    "stack_cells",
]
