"""The metrics of a home on their way to each destination."""

from __future__ import annotations
