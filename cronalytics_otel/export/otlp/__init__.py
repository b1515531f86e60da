"""OTLP over HTTP and gRPC, with a receipt for each request."""

from __future__ import annotations
