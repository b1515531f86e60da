"""Pieces of patterns that several rules share."""

from __future__ import annotations

QUOTE = r"""\\*["'`]"""
"""A quote, also inside JSON inside JSON."""

UNMASKED = r"(?!\[masked\]|\*{3})"
"""The text that follows is not masked yet, neither by us nor by another program."""

WORD = r"[^\s\"'`\\,;<>]+"
"""A word of a header or of prose, up to a blank, a quote or a comma."""


def word_started(letters: str = "") -> str:
    """Return a pattern for the place after these first letters of a word.

    A word begins also after the `\\n` of a JSON text, the `%20` of a URL, and a colour that lost its
    escape character: `[31m`.
    """
    return (
        rf"(?:(?<![A-Za-z0-9]{letters})|(?<=\\[nrtbf]{letters})|(?<=%[0-9A-Fa-f]{{2}}{letters})"
        rf"|(?<=m{letters})(?:(?<=[\[;]\dm{letters})|(?<=[\[;]\d\dm{letters})))"
    )


WORD_START = word_started()


def cased(*words: str) -> str:
    """Return a pattern for each word in lower case, with a capital, and in upper case.

    Python's regex engine is ten times slower when it is told to ignore case.
    """
    return "|".join(form for word in words for form in (word, word.capitalize(), word.upper()))
