# SPDX-License-Identifier: Apache-2.0
"""Every message of test/data/http against the real gateway and the real engine, with another request behind it."""
import re
import urllib.parse

import pytest

from engine_process import Engine
from fairway_process import Fairway
from messages import ask, read, status_of

OWN_REFUSALS = {400, 408, 413, 414, 417, 431, 501, 505}  # of the HTTP server, not of the service behind it


@pytest.fixture(scope="module", params=["gateway", "engine"])
def server(request):
    """Its port; it is unharmed at the end."""
    if request.param == "gateway":
        with Fairway("--quiet") as fairway:
            yield urllib.parse.urlsplit(fairway.url).port
            assert fairway.process.poll() is None
    else:
        with Engine("--simulate", "decode=1", model=None) as engine:
            yield engine.port
            assert engine.process.poll() is None


def test_hostile(server):
    wrong = []
    for name, status, _, message in read("hostile.txt"):
        answer = ask(server, message)
        answers = len(re.findall(rb"HTTP/1\.1 \d{3} ", answer))
        if status_of(answer) != status or b"\r\nconnection: close\r\n" not in answer or answers != 1:
            wrong.append((name, status, answer[:200]))
    assert wrong == []


def test_legal(server):
    wrong = []
    for name, _, close, message in read("legal.txt"):
        answer = ask(server, message).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        answers = len(re.findall(rb"HTTP/1\.1 \d{3} ", answer))
        if status_of(answer) in OWN_REFUSALS | {0} or answers != (1 if close else 2):
            wrong.append((name, answer[:200]))
    assert wrong == []
