"""How each command's answer looks to a person. Programs get the JSON that the command owns."""

from __future__ import annotations
