"""Hold JSON against the models that were generated from Datadog's and Honeycomb's OpenAPI documents.

Runs in a venv of its own (`venvs.vendor_schemas_venv`): standard input has a list of `[model, what, value]`,
standard output a list of complaints. A key that a model does not know is one, too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from tests.support.venvs import CHECKOUT, vendor_schemas_venv


def complaints(documents: Sequence[tuple[str, str, object]]) -> list[str]:
    """Return what is wrong with documents, each with its model (`datadog Monitor`) and what it is."""
    done = subprocess.run(
        [vendor_schemas_venv() / "bin/python", "-c", _PROGRAM],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


_PROGRAM = "from tests.support import vendor_models; vendor_models.main()"
