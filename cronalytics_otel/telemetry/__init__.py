"""From runs to the wire: names, spans, and senders that answer with receipts."""

from __future__ import annotations
