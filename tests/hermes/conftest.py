"""A real Hermes with the plugin, a real collector, and what comes out of both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_llm import FakeModel


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model
