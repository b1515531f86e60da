"""Texts that a person has reviewed, in files."""

from __future__ import annotations

import os
from pathlib import Path

UPDATE = "UPDATE_GOLDEN"
"""While this variable is set, the files are written anew: look at the difference before it is committed."""


def check_text(path: Path, text: str) -> None:
    """Holds a text against a reviewed one."""
    if os.environ.get(UPDATE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
