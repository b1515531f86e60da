"""What the tests hold built spans to, beside the registry of names."""

from __future__ import annotations

from cronalytics_otel.model import AttributeValue
from cronalytics_otel.telemetry import semconv as sc

_PYTHON_TYPE = {
    sc.ValueType.STRING: str,
    sc.ValueType.INT: int,
    sc.ValueType.DOUBLE: float,
    sc.ValueType.BOOLEAN: bool,
}

EVENT_IS_ON = {
    sc.Where.EXCEPTION: (sc.Where.CHAT, sc.Where.AGENT),
    sc.Where.MODEL_FALLBACK: (sc.Where.CHAT, sc.Where.AGENT),
    sc.Where.TOOL_APPROVAL: (sc.Where.TOOL,),
}
"""The spans that each event may stand on."""


def fits(type_: sc.ValueType, value: AttributeValue) -> bool:
    """Return whether `value` goes onto the wire as this type; an int is no double."""
    if type_ is sc.ValueType.STRINGS:
        return type(value) is tuple and all(type(item) is str for item in value)
    return type(value) is _PYTHON_TYPE[type_]
