# SPDX-License-Identifier: Apache-2.0
import pytest

from engine_process import Engine


@pytest.fixture(scope="module")
def engine():
    """The tiny real model with four slots, shared by the tests of a file."""
    with Engine("--slots", "4") as e:
        yield e


@pytest.fixture(scope="module")
def client(engine):
    return engine.client()
