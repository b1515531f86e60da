"""Secrets and e-mail addresses in a text, recognised and masked."""

from __future__ import annotations

from .rules import MASK, mask

__all__ = ["MASK", "mask"]
