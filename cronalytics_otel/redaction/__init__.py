"""Masking secrets and e-mail addresses in a text. Pure functions.

To add a rule, add a row to the table in `rules` and a row to the table of its test.
"""

from __future__ import annotations

from .rule import MASK
from .rules import mask

__all__ = ["MASK", "mask"]
