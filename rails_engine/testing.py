"""A scripted chat for tests of configurations: `chat >> "hi"`, then `chat << "Hello!"`."""

from __future__ import annotations

from typing import Any

from rails_engine.config import RailsConfig
from rails_engine.llm import FakeLLMModel
from rails_engine.rails import LLMRails


class TestChat:
    """A conversation with a configuration whose model says what it was told to."""

    __test__ = False

    def __init__(
        self,
        config: RailsConfig,
        llm_completions: list[str] | None = None,
        streaming: bool = False,
        llm_exception: Exception | None = None,
        token_usage: list[dict[str, int]] | None = None,
        llm: FakeLLMModel | None = None,
    ) -> None:
        self.llm = llm or FakeLLMModel(
            llm_completions,
            llm_exception=llm_exception,
            token_usage=token_usage,
            should_return_token_usage=token_usage is not None,
        )
        self.config = config
        self.streaming = streaming
        self.app = LLMRails(config, llm=self.llm)
        self.history: list[dict[str, Any]] = []
        self._state: Any = None
        self._events: list[dict[str, Any]] = []

    def user(self, msg: str | dict[str, Any]) -> None:
        """The user says a text, or an event happens."""
        if self.config.colang_version != "1.0":
            said = {"type": "UtteranceUserActionFinished", "final_transcript": msg}
            self._events.append(msg if isinstance(msg, dict) else said)
        elif isinstance(msg, dict):
            self.history.append({"role": "event", "event": msg})
        else:
            self.history.append({"role": "user", "content": msg})

    def bot(self, expected: str | dict[str, Any] | list[Any]) -> None:
        """The bot must answer this: a text, a message, or the event of a rail by the properties that it must have.

        Raises:
            AssertionError: it answers something else.
        """
        self._compare(self._answer(), expected)

    async def bot_async(self, msg: str) -> None:
        """As `bot`, inside an event loop.

        Raises:
            AssertionError: it answers something else.
        """
        answer = await self.app.generate_async(messages=self.history)
        self._keep(answer)
        self._compare(answer, msg)

    def _answer(self) -> Any:
        if self.config.colang_version == "1.0":
            answer = self.app.generate(messages=self.history)
            self._keep(answer)
            return answer
        return {"role": "assistant", "content": "\n".join(self._spoken())}

    def _spoken(self) -> list[str]:
        """The utterances of the turn, each answered as a speaker would: started, then finished."""
        said: list[str] = []
        pending, self._events = self._events, []
        while pending:
            outputs, self._state = self.app.process_events(pending, self._state, blocking=True)
            pending = []
            for event in outputs:
                if event["type"] == "StartUtteranceBotAction":
                    said.append(event["script"])
                    uid = event["action_uid"]
                    pending.append({"type": "UtteranceBotActionStarted", "action_uid": uid})
                    end = {"type": "UtteranceBotActionFinished", "action_uid": uid, "is_success": True}
                    pending.append({**end, "final_script": event["script"]})
        return said

    def _keep(self, answer: Any) -> None:
        if isinstance(answer, dict):
            self.history.append(answer)

    @staticmethod
    def _compare(answer: Any, expected: Any) -> None:
        found = answer if isinstance(expected, dict) and "role" in expected else answer["content"]
        if isinstance(expected, dict) and isinstance(found, dict):
            found = {name: value for name, value in found.items() if name in expected}
        if found != expected:
            raise AssertionError(f"expected {expected!r}, the bot answered {found!r}")

    def __rshift__(self, msg: str | dict[str, Any]) -> None:
        self.user(msg)

    def __lshift__(self, expected: str | dict[str, Any]) -> None:
        self.bot(expected)
