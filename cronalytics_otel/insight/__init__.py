"""Answers from the journal for every view. The command line only formats them."""

from __future__ import annotations
