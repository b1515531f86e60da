"""A run and its steps as spans. Pure functions."""

from __future__ import annotations
