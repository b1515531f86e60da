"""The records that everything else speaks of: frozen data without side effects.

Units: `*_ns` is epoch nanoseconds, `*_s` seconds, `*_usd` US dollars. `None` means unknown, never 0.
"""

from __future__ import annotations

from .budget import Budget, Budgets
from .conversation import Conversation, Message, ToolCall
from .destination_fault import DestinationFault
from .figures import Amounts, ModelAmounts
from .host_records import (
    OPEN,
    TERMINAL,
    Execution,
    FedOutput,
    LastMessage,
    Output,
    OutputFile,
    OutputStatus,
    Prompt,
    RunningRun,
    Session,
    Watermark,
)
from .job import DueJob, Job, Mode, Schedule, ScheduleKind
from .notice import MESSAGE_EVENTS, PING_EVENTS, JobPast, Notice, NoticeEvent
from .observation import ApiError, Approval, ModelCall, Observation, Observations, ToolResult
from .resource import AttributeValue, Resource
from .run import (
    FAILED_OUTCOMES,
    FAILED_RUNS,
    OUTPUT_ID,
    DeliveryOutcome,
    Feed,
    Outcome,
    OutcomeSource,
    Run,
    RunKey,
    SkipReason,
    TimeSource,
    Trigger,
)
from .source import Source, SourceName
from .span import Span, SpanEvent, SpanKind, SpanLink
from .usage import CostStatus, ModelUsage, Usage, known_cost_usd

__all__ = [
    "FAILED_OUTCOMES",
    "FAILED_RUNS",
    "MESSAGE_EVENTS",
    "OPEN",
    "OUTPUT_ID",
    "PING_EVENTS",
    "TERMINAL",
    "Amounts",
    "ApiError",
    "Approval",
    "AttributeValue",
    "Budget",
    "Budgets",
    "Conversation",
    "CostStatus",
    "DeliveryOutcome",
    "DestinationFault",
    "DueJob",
    "Execution",
    "FedOutput",
    "Feed",
    "Job",
    "JobPast",
    "LastMessage",
    "Message",
    "Mode",
    "ModelAmounts",
    "ModelCall",
    "ModelUsage",
    "Notice",
    "NoticeEvent",
    "Observation",
    "Observations",
    "Outcome",
    "OutcomeSource",
    "Output",
    "OutputFile",
    "OutputStatus",
    "Prompt",
    "Resource",
    "Run",
    "RunKey",
    "RunningRun",
    "Schedule",
    "ScheduleKind",
    "Session",
    "SkipReason",
    "Source",
    "SourceName",
    "Span",
    "SpanEvent",
    "SpanKind",
    "SpanLink",
    "TimeSource",
    "ToolCall",
    "ToolResult",
    "Trigger",
    "Usage",
    "Watermark",
    "known_cost_usd",
]
