"""The steps beside the agent: the script before it or instead of it, and the delivery after it."""

from __future__ import annotations

import re

from ...domain.errors import ErrorType, classify, is_of_script, stderr_of
from ...model import DeliveryOutcome, Mode, Outcome, Run, SpanKind
from .. import semconv as sc
from ..content import ContentPolicy, error_text, masked_and_cut, name_text
from .observed import Attributes
from .run_attributes import error_type
from .steps import Step, named


def script_step(run: Run, root: Step, content: ContentPolicy | None) -> Step | None:
    """Return the step of a run's script; None when it had none.

    The script of a script job, and the gate that skipped an agent's run, take the whole time of the
    run. A script before an agent ends when the host recorded its end.
    """
    is_all = run.mode is Mode.SCRIPT or run.outcome is Outcome.SKIPPED
    ended_ns = run.script_ended_ns
    if not (is_all or ended_ns is not None):
        return None
    attributes: Attributes = {}
    if run.script_exit_code is not None:
        attributes[sc.PROCESS_EXIT_CODE] = run.script_exit_code
    error = _put_script_error(attributes, run, root, is_all=is_all)
    if content is not None and (stderr := stderr_of(run.error_message)) is not None:
        attributes[sc.HERMES_CRON_SCRIPT_STDERR] = masked_and_cut(stderr, content.max_chars)
    return Step(
        path=(sc.SPAN_SCRIPT,),
        name=sc.SPAN_SCRIPT,
        kind=SpanKind.INTERNAL,
        start_ns=root.start_ns,
        end_ns=root.end_ns if is_all or ended_ns is None else root.clamp(ended_ns),
        attributes=attributes,
        error=error,
    )


def _put_script_error(attributes: Attributes, run: Run, root: Step, *, is_all: bool) -> str | None:
    """Add the class of a script's error, and return its text; None when the script did not fail."""
    if is_all or is_of_script(run.error_message):
        if (failure := error_type(run)) is not None:
            attributes[sc.ERROR_TYPE] = failure
        return root.error
    if run.script_exit_code:  # the run then failed for another reason
        attributes[sc.ERROR_TYPE] = str(ErrorType.SCRIPT_FAILED)
        return f"Script exited with code {run.script_exit_code}"
    return None


def delivery_step(run: Run, after: Step, root: Step) -> Step | None:
    """Return the step of a delivery; None when nothing was delivered.

    The host delivers between the end of the session and that of the run. It records no closer time.
    """
    outcome = run.delivery_outcome
    if outcome not in (DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED):
        return None
    attributes: Attributes = {sc.HERMES_CRON_DELIVERY_OUTCOME: str(outcome)}
    if target := error_text(run.delivery_target):
        attributes[sc.HERMES_CRON_DELIVERY_TARGET] = target
    error = None
    if outcome is DeliveryOutcome.FAILED:
        attributes[sc.ERROR_TYPE] = str(classify(run.delivery_error or ""))
        error = error_text(run.delivery_error) or "The host gave no reason."
    return Step(
        path=(sc.SPAN_DELIVER,),
        name=named(sc.SPAN_DELIVER, _platforms(target)),
        kind=SpanKind.PRODUCER,
        start_ns=after.end_ns,
        end_ns=root.end_ns,
        attributes=attributes,
        error=error,
    )


def _platforms(target: str | None) -> str | None:
    """Return `telegram` of `telegram:-100123`; several are joined. Span names contain no chat id."""
    names = (part.partition(":")[0].strip() for part in (target or "").split(","))
    plain = dict.fromkeys(name for name in names if _PLATFORM.fullmatch(name))
    return name_text(",".join(plain))


_PLATFORM = re.compile(r"[\w.-]{1,32}", re.ASCII)
