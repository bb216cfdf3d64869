"""The stand-in LLM over HTTP: chat completions as OpenAI and Azure serve them, and its knobs."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from localstack.standin.answers import compact
from localstack.standin.desk import REFUSALS, Asked, Desk, Said, usage
from localstack.standin.knobs import FAULTS, KnobError, Knobs
from localstack.standin.ledger import Call, Ledger
from localstack.standin.nearest import Corpus
from shared.taxonomy import Taxonomy

#: Texts whose true label the stand-in knows; STANDIN_CORPUS names others, parted by colons.
_CORPUS = Path(__file__).resolve().parents[2] / "training/data/train.jsonl"


class ClientGone(Exception):
    """The caller hung up; no need to go on."""


def create_app() -> Flask:
    """Build the server, with knobs and corpus from the environment."""
    paths = os.environ.get("STANDIN_CORPUS", str(_CORPUS)).split(":")
    corpus = Corpus.read(Path(path) for path in paths)
    return build_app(Desk(Knobs.from_env(os.environ), corpus, Taxonomy.load()))


def build_app(desk: Desk) -> Flask:
    """The server around one desk."""
    app = Flask(__name__)
    ledger = Ledger()

    @app.post("/v1/chat/completions")
    @app.post("/openai/v1/chat/completions")
    @app.post("/openai/deployments/<deployment>/chat/completions")
    def complete(deployment: str = "") -> Response:
        body = request.get_json()
        asked = Asked.read({"model": deployment, **body})
        call = ledger.open(
            asked.model,
            stream=asked.stream,
            ids=[item.id for item in asked.items],
            content=asked.content,
        )
        key = request.headers.get("api-key") or request.headers.get("Authorization", "")
        call.fault = desk.fault(asked, key.removeprefix("Bearer "))
        connection: socket.socket | None = request.environ.get("gunicorn.socket")
        return _Answering(desk, ledger, asked, call, connection).respond()

    @app.get("/v1/models")
    @app.get("/openai/v1/models")
    def models() -> Response:
        names = desk.knobs.models or ("standin",)
        return jsonify(
            object="list",
            data=[{"id": name, "object": "model", "owned_by": "carelane"} for name in names],
        )

    @app.post("/standin/knobs")
    def turn() -> Response:
        desk.turn(request.get_json())
        return jsonify(ok=True)

    @app.post("/standin/reset")
    def reset() -> Response:
        desk.reset()
        ledger.reset()
        return jsonify(ok=True)

    @app.get("/standin/requests")
    def requests() -> Response:
        return jsonify(requests=ledger.calls())

    @app.get("/standin/faults")
    def faults() -> Response:
        return jsonify(FAULTS)

    app.register_error_handler(KnobError, lambda error: (jsonify(error=str(error)), 400))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(KeyError, lambda error: _error(400, "missing", f"missing {error}"))
    return app


class _Answering:
    """One call on its way out."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        asked: Asked,
        call: Call,
        connection: socket.socket | None,
    ) -> None:
        self._desk = desk
        self._asked = asked
        self._call = call
        self._connection = connection
        self._began = time.monotonic()
        call.prompt_tokens = asked.prompt_tokens
        call.cached_tokens = ledger.cached_tokens(asked.prompt, call.prompt_tokens)

    def respond(self) -> Response:
        call = self._call
        try:
            if call.fault == "slow_headers":
                self._wait(self._desk.knobs.slow_s)
            if call.fault in REFUSALS:
                return self._refuse()
            said = self._desk.say(self._asked, call.fault)
            self._wait(self._desk.latency_s())
            if self._asked.stream:
                response = Response(self._stream(said), mimetype="text/event-stream")
                response.headers["X-Accel-Buffering"] = "no"
                return response
            return self._whole(said)
        except ClientGone:
            self._close("gone", 499)
            return Response(status=499)

    def _refuse(self) -> Response:
        status, code, text = REFUSALS[self._call.fault]
        # A refused call is not billed.
        self._call.prompt_tokens = self._call.cached_tokens = 0
        self._close("failed", status)
        response = _error(status, code, text)
        if self._call.fault == "rate_limit":
            response.headers["Retry-After"] = f"{self._desk.knobs.retry_after_s:g}"
        return response

    def _whole(self, said: Said) -> Response:
        if self._call.fault in ("stalled_stream", "dropped"):
            # Without a stream the same trouble is a connection that ends before its answer.
            self._wait(self._desk.knobs.slow_s if self._call.fault == "stalled_stream" else 0)
            self._hang_up()
        self._wait(self._desk.knobs.output_token_s * len(said.pieces))
        self._call.completion_tokens = len(said.pieces)
        self._close("answered", 200)
        message = {"role": "assistant", "content": said.text or None, "refusal": said.refusal}
        choice = {"index": 0, "message": message, "finish_reason": said.finish_reason}
        return jsonify(
            **self._head("chat.completion"),
            choices=[] if self._call.fault == "empty_choices" else [choice],
            usage=self._usage(said.pieces),
        )

    def _stream(self, said: Said) -> Iterator[str]:
        outcome = "gone"
        try:
            yield self._event({"role": "assistant", "content": ""})
            for number, piece in enumerate(said.pieces):
                if number == len(said.pieces) // 2 and self._call.fault in (
                    "stalled_stream",
                    "dropped",
                ):
                    self._wait(
                        self._desk.knobs.slow_s if self._call.fault == "stalled_stream" else 0
                    )
                    outcome = "failed"
                    self._hang_up()
                self._wait(self._desk.knobs.output_token_s)
                self._call.completion_tokens += 1
                yield self._event({"content": piece})
            if said.refusal is not None:
                yield self._event({"refusal": said.refusal})
            yield self._event({}, said.finish_reason)
            if self._asked.include_usage:
                head = self._head("chat.completion.chunk")
                bill = self._usage(said.pieces)
                yield f"data: {compact({**head, 'choices': [], 'usage': bill})}\n\n"
            yield "data: [DONE]\n\n"
            outcome = "answered"
        except ClientGone:
            return
        finally:
            self._close(outcome, 200)

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        choices = [] if self._call.fault == "empty_choices" else [choice]
        return f"data: {compact({**self._head('chat.completion.chunk'), 'choices': choices})}\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-standin-{self._call.number}",
            "object": kind,
            "created": int(time.time()),
            "model": self._asked.model,
            "system_fingerprint": "standin",
        }

    def _usage(self, pieces: tuple[str, ...]) -> dict[str, Any]:
        return usage(self._call.prompt_tokens, self._call.cached_tokens, pieces)

    def _wait(self, seconds: float) -> None:
        """Wait, unless the caller hangs up: what nobody waits for is not worked out to its end."""
        if seconds <= 0:
            return
        if self._connection is None:
            time.sleep(seconds)
            return
        # A caller that has sent its request says nothing more: readable means closed.
        readable, _, _ = select.select([self._connection], [], [], seconds)
        if readable:
            raise ClientGone

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)
        raise ClientGone

    def _close(self, outcome: str, status: int) -> None:
        self._call.outcome = outcome
        self._call.status = status
        self._call.duration_s = round(time.monotonic() - self._began, 4)


def _error(status: int, code: str, text: str) -> Response:
    kind = "invalid_request_error" if status < 429 else "server_error"
    response = jsonify(error={"message": text, "type": kind, "param": None, "code": code})
    response.status_code = status
    return response


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, "bad_request", error.description or error.name)
