"""The queries of collector/queries.md, as the document has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from collector.generate import queries as source
from cronalytics_otel.telemetry.links import Question

DOCUMENT: Final = Path(__file__).parents[2] / "collector" / source.NAME
README: Final = Path(__file__).parents[2] / "README.md"
LANGUAGES: Final = source.LANGUAGES

_SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def queries(language: str) -> dict[Question, str]:
    """The code block in a language below the heading of each question that has one."""
    questions = {title: question for question, title in source.TITLES.items()}
    found = {}
    for section in _SECTION.finditer(DOCUMENT.read_text(encoding="utf-8")):
        for block in re.findall(
            rf"^```{language}\n(.*?)\n```$", section["text"], re.MULTILINE | re.DOTALL
        ):
            found[questions[section["title"]]] = str(block)
    return found
