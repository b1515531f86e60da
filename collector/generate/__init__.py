"""The sources of the dashboards, rules, alerts and boards of this folder. `make views` writes them anew."""

from __future__ import annotations
