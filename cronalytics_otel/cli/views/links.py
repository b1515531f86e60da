"""Links to trace explorers: a line for each, below the name of its explorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.text import Text

from ...telemetry.links import EXPLORERS, MOST_FOUND, MOST_LISTED, Question
from .. import formats
from ..links import Link

NO_LINKS = (
    "config.yaml has no `links`: these are the usual addresses on this machine"
    " (docs/configuration.md, Links)."
)

_LABELS = {
    Question.ALL: "all runs",
    Question.FAILED: "failed",
    Question.MISSED: "missed",
    Question.SLOWEST: f"{MOST_LISTED} slowest",
    Question.MOST_EXPENSIVE: f"{MOST_LISTED} most expensive",
    Question.SKILL: "skill",
    Question.COST_PER_DAY: "cost per day",
}


def lines(links: Sequence[Link], days: int, *, clickable: bool) -> Iterator[Text]:
    for number, (head, group) in enumerate(groupby(links, lambda link: _head(link, days))):
        if number:
            yield Text()
        yield Text(head, style="heading")
        of_subject = [*group]
        width = max(len(_label(link)) for link in of_subject)
        for explorer, of_explorer in groupby(of_subject, lambda link: link.explorer):
            if of_subject[0].question is not None:
                yield Text()
                yield Text(EXPLORERS[explorer].title, style="heading")
            for link in of_explorer:
                yield _line(link, width, clickable=clickable)
    if any(link.question is Question.ALL for link in links):
        yield Text()
        yield Text(f"  Jaeger and Grafana list at most {MOST_FOUND:,} runs.", style="muted")


def address(url: str, *, clickable: bool) -> Text:
    """Return an address, on a terminal as a link."""
    return Text(url, style=link_style(url) if clickable else "none")


def link_style(url: str) -> str:
    """Return the style that makes a text a link on a terminal."""
    return f"link {url}"


def _head(link: Link, days: int) -> str:
    if link.run_id is not None:
        return f"{formats.one_line(link.job_name or '')}, run {link.run_id}"
    since = "the last day" if days == 1 else f"the last {days} days"
    if link.job_id is None:
        return f"all jobs of profile {formats.one_line(link.profile)}, {since}"
    return f"{formats.one_line(link.job_name or link.job_id)}, {since}"


def _label(link: Link) -> str:
    if link.question is None:
        return EXPLORERS[link.explorer].title
    skill = f" {formats.one_line(link.skill)}" if link.skill else ""
    return f"{_LABELS[link.question]}{skill}"


def _line(link: Link, width: int, *, clickable: bool) -> Text:
    label = (f"  {_label(link):<{width}}  ", "muted")
    if link.url is not None:
        return Text.assemble(label, address(link.url, clickable=clickable))
    metric = f", or the metric {link.metric}" if link.metric else ""
    return Text.assemble(label, f"{link.reason}: `{link.instead}`{metric}")
