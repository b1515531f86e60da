"""Every name of the project, once: literal, with type, unit, meaning, source.

One search finds a name in code, dashboards and alerts. `ATTRIBUTES`, `SPANS` and `EVENTS` are what
docs/telemetry.md is rendered from and what the tests hold built spans against; run
`python docs/render.py` after a change.

Names outside of `hermes.*` are OpenTelemetry's, of the version that `SCHEMA_URL` names. They are written
out here because the Python constants of the GenAI names are deprecated upstream.
"""

from __future__ import annotations

from .attributes import *  # noqa: F403 - each of its names is one of the registry's
from .metrics import *  # noqa: F403
from .spans import *  # noqa: F403
from .values import *  # noqa: F403
