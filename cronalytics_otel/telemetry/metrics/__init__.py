"""Series and gauges as the points of metrics."""

from __future__ import annotations
