"""Bytes of a connection in, answers out: httptools reads HTTP/1.1, this keeps its bounds. No socket is known here."""

from __future__ import annotations

import httptools

from rails_engine.http.incoming import Incoming
from rails_engine.http.messages import HTTPClientError, HTTPConnectionError

MAX_HEAD_BYTES = 64 << 10
"""Of what is no body: status line, header fields, trailers, the framing of chunks between two pieces."""


class AnswerParser:
    """Reads the answers of one connection, one after another; `expect` says where the next one goes."""

    def __init__(self) -> None:
        self._reader = httptools.HttpResponseParser(self)
        self._answer: Incoming | None = None
        self._fields: dict[bytes, bytes] = {}
        self._since_body = 0
        self.surplus = False

    def expect(self, answer: Incoming) -> None:
        """The next answer goes into `answer`."""
        self._answer = answer
        self._since_body = 0
        self._fields = {}

    def feed(self, data: bytes) -> None:
        """The next bytes. `surplus` is set once something comes that no request asked for.

        Raises:
            HTTPClientError: they are no answer, or go past a bound.
        """
        if self._answer is None or self._answer.complete:
            self.surplus = True
            return
        self._since_body += len(data)
        try:
            self._reader.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, HTTPClientError):
                raise error.__context__ from error
            raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise HTTPConnectionError(f"the answer is no HTTP: {error}") from error
        if self._since_body > MAX_HEAD_BYTES:
            raise HTTPConnectionError(f"the head of the answer has more than {MAX_HEAD_BYTES >> 10} KiB")

    def closed(self) -> bool:
        """The server has closed: whether that ends the answer, as it does where nothing tells its length."""
        answer = self._answer
        if answer is None or answer.complete or not answer.status:
            return False
        if b"content-length" in answer.fields or b"transfer-encoding" in answer.fields:
            return False
        answer.end()
        return True

    # --- called by httptools ---

    def on_message_begin(self) -> None:
        """An answer begins; one behind the last that was asked for is surplus."""
        if self._answer is not None and self._answer.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; of one given twice both values count."""
        name = name.lower()
        before = self._fields.get(name)
        self._fields[name] = value if before is None else before + b", " + value

    def on_headers_complete(self) -> None:
        """The head is whole; that of an interim answer (1xx) is passed over."""
        status = self._reader.get_status_code()
        if status >= 200 and self._answer is not None and not self._answer.complete:
            self._answer.head(status, self._fields, keep=self._reader.should_keep_alive())
        self._fields = {}

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._since_body = 0
        answer = self._answer
        if answer is not None and not answer.complete:
            answer.body(piece)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._since_body = 0
        answer = self._answer
        # An interim answer (1xx) ends too, before the one that is waited for.
        if answer is not None and answer.status and not answer.complete:
            answer.end()
