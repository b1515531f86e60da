"""What all steps of one harvest share, and what the harvest gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..clock import Clock
from ..host.home import Home
from ..journal import Journal
from ..model import Budgets, Execution, SourceName
from ..model.times import Zone


@dataclass(slots=True)
class HarvestReport:
    """What one harvest did. `problems` are lines for people, each with what to do."""

    new_runs: int = 0
    open_runs: int = 0
    running: tuple[Execution, ...] = ()
    """The executions that have begun and not ended. None when nothing had changed and nothing was open."""
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Problems:
    """What could not be read."""

    lines: list[str]
    unsound: set[SourceName] = field(default_factory=set)
    """The names of sources that are read again at the next harvest, changed or not, so that a fault is
    reported for as long as it lasts."""

    def add(self, text: str, *, source: SourceName | None = None) -> None:
        """Add a line once. `source` is the file at fault."""
        if text not in self.lines:
            self.lines.append(text)
        if source is not None:
            self.unsound.add(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestContext:
    """The home that is read, the journal that is written, and the time of this harvest."""

    home: Home
    journal: Journal
    zone: Zone
    now_ns: int
    clock: Clock
    problems: Problems
    budgets: Budgets
    """What a run may cost."""
    genai_metrics: bool = False
    """Whether the model calls that were observed live are counted in metrics of their own."""
