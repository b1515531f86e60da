"""The checks of `doctor`, from the host's files to a receipt. Each says what to do about a fault."""

from __future__ import annotations
