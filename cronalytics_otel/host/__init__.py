"""The host's files, one module each: only here are its paths, columns and formats known."""

from __future__ import annotations
