"""Lets a checkout of this repository be a Hermes plugin: the host loads this file as a package of its own."""

from __future__ import annotations

# pytest loads the file, too. In a folder whose name has a dash, it does so outside of any package.
if __package__:
    from .cronalytics_otel import register

    __all__ = ["register"]
