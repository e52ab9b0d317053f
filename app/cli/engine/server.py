"""The engine's OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException

from app.cli.engine.answers import Answer, chat_completion, completion, embedding_writer, usage_of
from app.cli.engine.faults import body_of, refusal, status_of
from app.cli.engine.streaming import Event, chat_events, text_events
from inference_backend import ChatModel, Delta, EngineError, Prepared, RequestError, together

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients keep theirs, so that none sends into one that closes."""

T = TypeVar("T")
Next = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`api_key` None asks for none. `adapter_routes` opens the routes that load adapters from the server's disk."""

    api_key: str | None = None
    max_body_bytes: int = 16 * 2**20
    adapter_routes: bool = False
    ping_seconds: int = 15


class _ClientGoneError(Exception):
    """The caller closed the connection; nobody reads the answer."""


class _TooLargeError(Exception):
    """The caller sends more than is read."""


def create_app(model: ChatModel, options: ServerOptions | None = None) -> FastAPI:
    """The application; it closes the model when it ends."""
    routes = _Routes(model, options or ServerOptions())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(model.close)

    app = FastAPI(title="Interlock LLM engine", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.middleware("http")(routes.guard)
    app.add_exception_handler(EngineError, _on_engine_error)
    app.add_exception_handler(_ClientGoneError, _on_client_gone)
    app.add_exception_handler(_TooLargeError, _on_too_large)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.get("/health")(routes.health)
    app.get("/metrics")(routes.metrics)
    app.get("/v1/models")(routes.list_models)
    app.get("/v1/models/{name:path}")(routes.one_model)
    app.post("/v1/chat/completions")(routes.chat)
    app.post("/v1/completions")(routes.complete)
    app.post("/v1/embeddings")(routes.embed)
    if routes.options.adapter_routes:
        app.post("/v1/load_lora_adapter")(routes.load_adapter)
        app.post("/v1/unload_lora_adapter")(routes.unload_adapter)
        app.post("/v1/load_prompt_prefix")(routes.load_prefix)
    return app


async def _on_engine_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, EngineError):
        raise error
    status = status_of(error)
    return JSONResponse(body_of(error), status, headers={"Retry-After": "1"} if status == 503 else None)


async def _on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = refusal(str(error.detail), "invalid_request_error")
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _on_too_large(_: Request, error: Exception) -> Response:
    body = refusal(str(error), "invalid_request_error")
    # What is left of the body is not read, so the connection cannot serve another request.
    return JSONResponse(body, 413, headers={"Connection": "close"})


async def _on_client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


class _Routes:
    def __init__(self, model: ChatModel, options: ServerOptions) -> None:
        self.model = model
        self.options = options
        self._started = int(time.time())

    async def guard(self, request: Request, go_on: Next) -> Response:
        """Ask for the key (not on /health), echo the request's id."""
        if request.url.path != "/health" and not self._allowed(request):
            body = refusal("a valid API key is needed", "authentication_error", "invalid_api_key")
            return JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})
        response = await go_on(request)
        response.headers["X-Request-ID"] = request.headers.get("X-Request-ID", uuid.uuid4().hex)[:128]
        return response

    def _allowed(self, request: Request) -> bool:
        if self.options.api_key is None:
            return True
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        return hmac.compare_digest(given, self.options.api_key.encode())

    # --- state ----------------------------------------------------------------------------------------------

    async def health(self) -> Response:
        """`GET /health`: 200 while the engine works, 503 once it has broken."""
        return Response(status_code=200 if self.model.engine.healthy else 503)

    async def metrics(self) -> Response:
        """`GET /metrics`: in the text format of Prometheus."""
        text = self.model.opened.engine.metrics.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def list_models(self) -> dict[str, Any]:
        """`GET /v1/models`: the model and the adapters that are loaded."""
        return {"object": "list", "data": [self._model(name) for name in self.model.models]}

    async def one_model(self, name: str) -> Response:
        """`GET /v1/models/NAME`."""
        if name not in self.model.models:
            body = refusal(f"the model {name!r} does not exist", "not_found_error", "model_not_found")
            return JSONResponse(body, 404)
        return JSONResponse(self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        longest = self.model.opened.engine.scheduler.max_tokens
        parent = None if name == self.model.name else self.model.name
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "interlock",
            "max_model_len": longest,
            "parent": parent,
        }

    # --- answers --------------------------------------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`, whole or as a stream."""
        body = await self._body(request)
        prepared = await asyncio.to_thread(self.model.chat, body)
        tools = bool(body.get("tools")) and body.get("tool_choice") != "none"
        answer = Answer(self.model, prepared, tools=tools)
        if body.get("stream"):
            deltas = await _unless_gone(request, _begun(self.model.generate(prepared)))
            return self._stream(chat_events(answer, deltas, usage=_wants_usage(body)))
        await _unless_gone(request, _read(self.model, answer))
        return JSONResponse(chat_completion(answer))

    async def complete(self, request: Request) -> Response:
        """`POST /v1/completions`, of one prompt or several; a stream has one."""
        body = await self._body(request)
        prepared = await asyncio.to_thread(self.model.completions, body)
        answers = [Answer(self.model, one) for one in prepared]
        if body.get("stream"):
            if len(prepared) > 1:
                raise RequestError("one prompt at a time can be streamed", param="prompt")
            if prepared[0].echo and prepared[0].request.sampling.n > 1:
                raise RequestError("one choice at a time can be streamed with its prompt", param="echo")
            deltas = await _unless_gone(request, _begun(self.model.generate(prepared[0])))
            return self._stream(text_events(answers[0], deltas, usage=_wants_usage(body)))
        await _unless_gone(request, together(_read(self.model, answer) for answer in answers))
        return JSONResponse(completion(answers))

    async def embed(self, request: Request) -> Response:
        """`POST /v1/embeddings`."""
        body = await self._body(request)
        prepared = await asyncio.to_thread(self.model.embeddings, body)
        answers = [Answer(self.model, one) for one in prepared]
        shown = embedding_writer(body)
        vectors = await _unless_gone(request, together(_embedding(self.model, one) for one in prepared))
        data = [
            {"object": "embedding", "index": index, "embedding": shown(vector)}
            for index, vector in enumerate(vectors)
        ]
        usage = usage_of(answers)
        used = {name: usage[name] for name in ("prompt_tokens", "total_tokens")}
        return JSONResponse({"object": "list", "data": data, "model": prepared[0].model, "usage": used})

    # --- adapters -------------------------------------------------------------------------------------------

    async def load_adapter(self, request: Request) -> dict[str, str]:
        """`POST /v1/load_lora_adapter`, from a folder of this machine."""
        body = await self._body(request)
        name, folder = _required(body, "lora_name"), _required(body, "lora_path")
        await self.model.engine.load_adapter(name, folder)
        return {"status": f"loaded {name}"}

    async def unload_adapter(self, request: Request) -> dict[str, str]:
        """`POST /v1/unload_lora_adapter`."""
        name = _required(await self._body(request), "lora_name")
        await self.model.engine.drop_adapter(name)
        return {"status": f"unloaded {name}"}

    async def load_prefix(self, request: Request) -> dict[str, Any]:
        """`POST /v1/load_prompt_prefix`, from a folder of this machine."""
        body = await self._body(request)
        name = _required(body, "prefix_name")
        prefix = await self.model.engine.load_prefix(name, _required(body, "prefix_path"))
        return {"status": f"loaded {name}", "virtual_tokens": prefix.length}

    # --- parts ----------------------------------------------------------------------------------------------

    async def _body(self, request: Request) -> dict[str, Any]:
        """The request's JSON object, of bounded size.

        Raises:
            RequestError: it is no JSON object.
            _TooLargeError: it is too large.
        """
        content = bytearray()
        async for piece in request.stream():
            content += piece
            if len(content) > self.options.max_body_bytes:
                raise _TooLargeError(f"the body is larger than {self.options.max_body_bytes} bytes")
        try:
            body = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise RequestError("the body must be a JSON object")
        return body

    def _stream(self, events: AsyncIterator[Event]) -> Response:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return EventSourceResponse(events, ping=self.options.ping_seconds, sep="\n", headers=headers)


def _required(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name} must be a text", param=name)
    return value


def _wants_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


async def _begun(deltas: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
    """The same deltas, once the first is there: a request that is refused gets a status, not a stream."""
    first = await anext(deltas)

    async def all_of_them() -> AsyncIterator[Delta]:
        yield first
        async for delta in deltas:
            yield delta

    return all_of_them()


async def _read(model: ChatModel, answer: Answer) -> None:
    async for delta in model.generate(answer.prepared):
        answer.take(delta)


async def _embedding(model: ChatModel, prepared: Prepared) -> tuple[float, ...]:
    found: tuple[float, ...] = ()
    async for delta in model.generate(prepared):
        found = delta.embedding or found
    return found


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
    """Wait for work, and drop it when the caller goes away.

    Raises:
        _ClientGoneError: the caller went away.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _ClientGoneError
        return task.result()
    finally:
        task.cancel()
        watcher.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
