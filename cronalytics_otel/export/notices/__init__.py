"""Notices: what each target of `notify` is told of, and how it is sent.

1. `rules`: from a run, a start or an overdue job to notices, masked, in the transaction that writes them.
2. `delivery`: what is pending goes out, each target in a thread of its own.
3. `messages` sends by Apprise, `pings` to the URLs of checks.
"""

from __future__ import annotations
