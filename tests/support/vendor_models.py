"""The checker behind `vendor_schemas`, for the venv that has the vendors' models."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    """Read `[model, what, value]` triples, and write the complaints about them."""
    checks = {"datadog": _datadog, "honeycomb": _honeycomb}
    found: list[str] = []
    for model, what, value in json.load(sys.stdin):
        vendor, name = model.split()
        found += [f"{what}: {complaint}" for complaint in checks[vendor](name, value)]
    json.dump(found, sys.stdout)


def _datadog(name: str, value: Any) -> Iterator[str]:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    model = getattr(importlib.import_module(f"datadog_api_client.v1.model.{snake}"), name)
    utils = importlib.import_module("datadog_api_client.model_utils")
    configuration = importlib.import_module("datadog_api_client").Configuration()
    try:
        made = utils.validate_and_convert_types(value, (model,), [name], True, True, configuration)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
        return
    yield from _unknown_to_datadog(made, name)


def _unknown_to_datadog(made: Any, path: str) -> Iterator[str]:
    """Yield the parts that the client could not parse, and the keys that no model has."""
    if getattr(made, "_unparsed", False):
        yield f"{path} is no {type(made).__name__}"
    if hasattr(made, "get_oneof_instance"):
        yield from _unknown_to_datadog(made.get_oneof_instance(), path)
        return
    known = set(getattr(made, "attribute_map", {}).values())
    parts = made if isinstance(made, dict) else getattr(made, "_data_store", {})
    for key, part in parts.items():
        if known and key not in known:
            yield f"{path} has no {key}"
        yield from _unknown_to_datadog(part, f"{path}.{key}")
    if isinstance(made, list):
        for index, part in enumerate(made):
            yield from _unknown_to_datadog(part, f"{path}.{index}")


def _honeycomb(name: str, value: Any) -> Iterator[str]:
    model = getattr(importlib.import_module("honeycomb._generated_models"), name)
    try:
        made = model.model_validate(value)
    except ValueError as error:
        yield str(error)
        return
    kept = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if kept != value:
        yield f"{name} keeps only {kept}"
