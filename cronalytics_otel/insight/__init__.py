"""Answers from the journal for every view: the command line formats them and computes none."""

from __future__ import annotations
