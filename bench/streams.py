# SPDX-License-Identifier: Apache-2.0
"""A client of many streams at once: HTTP/1.1 on asyncio's transports, about 20 us per event, as it shares the machine with
what it measures. It takes chunks and events apart; a stream counts only with its usage report."""
import asyncio
import json
import re
import time


class Answer:
    """One request: when it was sent and when each event with text came."""

    __slots__ = ("sent", "times", "ended", "status", "usage", "error")

    def __init__(self, sent):
        self.sent, self.times, self.ended, self.status, self.usage, self.error = sent, [], None, None, None, None

    def first(self):
        return self.times[0] - self.sent if self.times else None

    def cached_tokens(self):
        return (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)


def request(key, model, prompt, max_tokens):
    """A streamed completion as bytes. The prompt needs no escapes in JSON."""
    body = (f'{{"model":"{model}","stream":true,"stream_options":{{"include_usage":true}},"max_tokens":{max_tokens},'
            f'"prompt":"{prompt}"}}').encode()
    head = (f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Asks one thing after another."""

    def __init__(self):
        self.transport = self.answer = self.done = None
        self.raw, self.text = bytearray(), bytearray()
        self.in_body = self.chunked = False
        self.left = 0

    @classmethod
    async def open(cls, port):
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def ask(self, data, sent=None):
        """The answer fills up by and by; `done` is set when it is whole."""
        self.raw.clear()
        self.text.clear()
        self.in_body = False
        self.answer = Answer(sent or time.monotonic())
        self.done = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self.finish("the connection was closed")
        else:
            self.transport.write(data)
        return self.answer

    def usable(self):
        return not self.transport.is_closing()

    def close(self):
        if self.answer and self.answer.ended is None:
            self.answer.ended = time.monotonic()
        self.transport.close()

    # ---- asyncio's callbacks ----

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        self.finish(f"the connection was lost: {error}")

    def data_received(self, data):
        if self.done is None or self.done.done():
            return
        self.raw += data
        try:
            if (self.in_body or self.read_head()) and self.read_body():
                self.finish(None)
        except ValueError as error:
            self.finish(str(error))
            self.close()

    # ---- the answer ----

    def finish(self, error):
        if self.done is None or self.done.done():
            return
        a = self.answer
        if a.status not in (None, 200):
            error = f"{a.status} {self.text[:200].decode(errors='replace')}"
        a.error = error or (None if a.usage else "a stream without usage")
        a.ended = time.monotonic()
        self.done.set_result(None)

    def read_head(self):
        end = self.raw.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.raw[:end]).lower()
        del self.raw[:end + 4]
        self.answer.status = int(head[9:12])
        self.chunked = b"transfer-encoding: chunked" in head
        length = re.search(rb"content-length: *(\d+)", head)
        self.left = int(length.group(1)) if length else 0
        self.in_body = True
        return True

    def read_body(self):
        """True when it is whole."""
        if self.chunked:
            whole = self.read_chunks()
        else:
            self.left -= len(self.raw)
            self.text += self.raw
            self.raw.clear()
            whole = self.left <= 0
        if self.answer.status == 200:
            self.read_events()
        return whole

    def read_chunks(self):
        raw = self.raw
        while (end := raw.find(b"\r\n")) >= 0:
            size = int(raw[:end], 16)
            if len(raw) < end + size + 4:
                return False
            self.text += raw[end + 2:end + 2 + size]
            del raw[:end + size + 4]
            if size == 0:
                return True
        return False

    def read_events(self):
        now = time.monotonic()
        while (end := self.text.find(b"\n\n")) >= 0:
            line = bytes(self.text[:end])
            del self.text[:end + 2]
            if line.startswith(b"data: {"):
                self.take(json.loads(line[6:]), now)

    def take(self, event, now):
        if event.get("error"):
            raise ValueError(f"an error in the stream: {event['error'].get('message')}")
        self.answer.usage = event.get("usage") or self.answer.usage
        if any(choice["text"] for choice in event.get("choices", ())):
            self.answer.times.append(now)
