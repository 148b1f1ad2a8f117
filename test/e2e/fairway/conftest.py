# SPDX-License-Identifier: Apache-2.0
import pytest

from fairway_process import Fairway


@pytest.fixture
def fairway():
    with Fairway("--quiet") as f:
        yield f
