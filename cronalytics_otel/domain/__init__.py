"""Pure decisions: matching, outcomes, schedules, missed runs. This room imports `model` alone."""

from __future__ import annotations
