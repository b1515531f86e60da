"""One module for each command: its arguments, its run and its JSON.

Importing one loads nothing heavy: it imports what it needs when it runs.
"""

from __future__ import annotations
