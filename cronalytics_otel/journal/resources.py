"""The resources that runs became final with: a copy that is sent after an upgrade has the same one."""

from __future__ import annotations

import json

from ..model import AttributeValue, Resource
from .database import Connection, unreadable


class Resources:
    """The table of resources. It grows by a row when a version, the host or its settings change."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_id: dict[int, Resource] = {}

    def id_of(self, resource: Resource) -> int:
        """Return the id of a resource, which is added if it is new."""
        data = json.dumps(
            {"attributes": dict(resource.attributes), "scope_version": resource.scope_version},
            sort_keys=True,
        )
        self._connection.execute("INSERT OR IGNORE INTO resource (data) VALUES (?)", (data,))
        (resource_id,) = self._connection.execute(
            "SELECT id FROM resource WHERE data = ?", (data,)
        ).fetchone()
        return int(resource_id)

    def get(self, resource_id: int) -> Resource:
        """Return the resource with this id. Raises `JournalError` when it cannot be read."""
        known = self._by_id.get(resource_id)
        if known is None:
            known = self._by_id[resource_id] = self._read(resource_id)
        return known

    def _read(self, resource_id: int) -> Resource:
        row = self._connection.execute(
            "SELECT data FROM resource WHERE id = ?", (resource_id,)
        ).fetchone()
        try:
            values = json.loads(row[0])
            return Resource(
                attributes=tuple(
                    (name, _value(value)) for name, value in sorted(values["attributes"].items())
                ),
                scope_version=values["scope_version"],
            )
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise unreadable("a resource", error) from error


def _value(value: AttributeValue | list[str]) -> AttributeValue:
    return tuple(value) if isinstance(value, list) else value
