"""From the outbox to a destination: requests, receipts, back-off."""

from __future__ import annotations
