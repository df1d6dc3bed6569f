"""Summaries of data that come in parts: merge and reduce."""

from .estimator import StreamingCoreset

__all__ = ["StreamingCoreset"]
