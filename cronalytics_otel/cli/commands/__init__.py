"""One module for each command: its arguments, its run and its JSON."""

from __future__ import annotations
