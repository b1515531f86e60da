"""Lets a checkout of this repository be a Hermes plugin: the host loads this file."""

from __future__ import annotations

from .cronalytics_otel import register

__all__ = ["register"]
