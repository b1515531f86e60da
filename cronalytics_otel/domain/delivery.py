"""Where a run's answer was delivered to, and what became of it. Pure functions."""

from __future__ import annotations

from functools import lru_cache

from ..model import DeliveryOutcome, Job, Outcome
from .errors import ErrorType
from .evidence import Evidence
from .outcome import RunEnd

Delivery = tuple[DeliveryOutcome | None, str | None]
"""(outcome, error)."""


def delivery_of(
    evidence: Evidence, end: RunEnd, latest: Job | None, *, silent: bool | None
) -> Delivery:
    """Return what became of the answer, and the host's error.

    `latest` is the job's definition if its `last_*` fields describe this very run. The host's own word
    in the ledger goes first.
    """
    error = latest.last_delivery_error if latest else None
    if evidence.execution is not None and evidence.execution.delivery_outcome is not None:
        return evidence.execution.delivery_outcome, error
    deliver = evidence.definition.deliver if evidence.definition else None
    if deliver == "local":
        return DeliveryOutcome.NOT_CONFIGURED, None
    if error is not None:
        return DeliveryOutcome.FAILED, error
    if silent or end.outcome is Outcome.SKIPPED or _is_held_back(evidence, end, latest):
        return DeliveryOutcome.SUPPRESSED, None
    if latest is None or deliver == "origin":
        # Without an origin the answer went to the home channels, or nowhere if there are none.
        return None, None
    return DeliveryOutcome.DELIVERED, None


def _is_held_back(evidence: Evidence, end: RunEnd, latest: Job | None) -> bool:
    """Return whether there was an empty reply, and no notice of it was delivered either."""
    if end.error_type is not ErrorType.EMPTY_RESPONSE:
        return False
    if evidence.delivers_notice_of_empty_reply:
        return latest is not None and latest.last_status == "error"
    return True


@lru_cache(maxsize=256)
def platforms(deliver: str) -> str | None:
    """Return the platforms that a job delivers to, without the chats: whom it went to is private."""
    names = dict.fromkeys(part.strip().partition(":")[0] for part in deliver.split(","))
    return ",".join(name for name in names if name) or None
