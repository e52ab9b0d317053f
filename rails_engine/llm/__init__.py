"""Language models behind one protocol: a request goes in, an asynchronous stream of chunks comes out.

`base` has the protocol and its values. A remote model (`remote`) turns a request into the JSON of an
OpenAI-compatible endpoint (`wire`), which a transport carries: `http` on `rails_engine.http`, or `sdk` on the
`openai` package; `several` draws several answers. Round any model are folded layers that are models themselves:
`retry`, `limit`, `cache`, and `observe`, which tells a turn about its calls. `local` is the engine of this process.
`providers` and `local_options` read the entries of `models`, and `models` puts all of it together, in one place.

At the border stand the public protocol of users (`public`), adapters to and from it (`adapt`, `shapes`), LangChain's
models (`langchain`), spans and figures for any of them (`instrumented`), a cache for users' own code (`lfu`), and the
registry of users' own providers. `scripted` has the doubles.
"""

from rails_engine.llm.adapt import PublicModel, UserModel, as_llm, public_model
from rails_engine.llm.answer import Completing, Completion, Gathering, complete, gathered
from rails_engine.llm.base import (
    LLM,
    NO_SAMPLING,
    Choice,
    Chunk,
    Constraint,
    Content,
    ImagePart,
    JsonSchema,
    LLMRequest,
    Message,
    OtherPart,
    Part,
    Regex,
    Sampling,
    TextPart,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallFragment,
    Usage,
)
from rails_engine.llm.cache import AnswerStore, Cached, CacheOptions, CacheStats
from rails_engine.llm.calling import Receiver, llm_call
from rails_engine.llm.endpoint import Endpoint, Transport
from rails_engine.llm.instrumented import InstrumentedLLMModel
from rails_engine.llm.langchain_framework import (
    LangChainFramework,
    LangChainLLMAdapter,
    get_llm_instance_wrapper,
)
from rails_engine.llm.lfu import CacheInterface, LFUCache
from rails_engine.llm.limit import Limited
from rails_engine.llm.models import EMBEDDINGS, Models, create_models, require_client, require_keys
from rails_engine.llm.observe import LLMCall, Observed, Sink, observed
from rails_engine.llm.providers import PROVIDERS, ClientOptions, client_options, get_provider_names
from rails_engine.llm.public import (
    ChatMessage,
    FinishReason,
    LLMFramework,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Role,
    ToolCallFunction,
    UsageInfo,
)
from rails_engine.llm.public import ToolCall as PublicToolCall
from rails_engine.llm.quotation import Past, Quotation, length_of
from rails_engine.llm.registry import (
    get_default_framework,
    get_framework,
    register_chat_provider,
    register_framework,
    register_llm_provider,
    register_provider,
    registry,
    set_default_framework,
)
from rails_engine.llm.remote import RemoteLLM
from rails_engine.llm.retry import Retrying, RetryPolicy
from rails_engine.llm.scripted import FakeLLMModel, ScriptedLLM, ScriptExhaustedError
from rails_engine.llm.several import samples
from rails_engine.llm.shapes import (
    content_of,
    message_of,
    plain_call,
    plain_messages,
    plain_metadata,
    public_message,
    request_of,
    response_of,
    tool_of,
)
from rails_engine.llm.sse import EventBuffer
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import ThinkSplitter, split_thinking
from rails_engine.llm.wire import text_of, tool_call_field

__all__ = [
    "EMBEDDINGS",
    "LLM",
    "NO_SAMPLING",
    "PROVIDERS",
    "AnswerStore",
    "CacheInterface",
    "CacheOptions",
    "CacheStats",
    "Cached",
    "ChatMessage",
    "Choice",
    "Chunk",
    "ClientOptions",
    "Completing",
    "Completion",
    "Constraint",
    "Content",
    "Endpoint",
    "EventBuffer",
    "FakeLLMModel",
    "FinishReason",
    "Gathering",
    "ImagePart",
    "InstrumentedLLMModel",
    "JsonSchema",
    "LFUCache",
    "LLMCall",
    "LLMFramework",
    "LLMModel",
    "LLMRequest",
    "LLMResponse",
    "LLMResponseChunk",
    "LangChainFramework",
    "LangChainLLMAdapter",
    "Limited",
    "Message",
    "Models",
    "Observed",
    "OtherPart",
    "Part",
    "Past",
    "PublicModel",
    "PublicToolCall",
    "Quotation",
    "Reading",
    "Receiver",
    "Regex",
    "RemoteLLM",
    "RetryPolicy",
    "Retrying",
    "Role",
    "Sampling",
    "ScriptExhaustedError",
    "ScriptedLLM",
    "Sink",
    "TextPart",
    "ThinkSplitter",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallFragment",
    "ToolCallFunction",
    "Transport",
    "Usage",
    "UsageInfo",
    "UserModel",
    "as_llm",
    "client_options",
    "complete",
    "content_of",
    "create_models",
    "gathered",
    "get_default_framework",
    "get_framework",
    "get_llm_instance_wrapper",
    "get_provider_names",
    "length_of",
    "llm_call",
    "message_of",
    "observed",
    "plain_call",
    "plain_messages",
    "plain_metadata",
    "public_message",
    "public_model",
    "register_chat_provider",
    "register_framework",
    "register_llm_provider",
    "register_provider",
    "registry",
    "request_of",
    "require_client",
    "require_keys",
    "response_of",
    "samples",
    "set_default_framework",
    "split_thinking",
    "text_of",
    "tool_call_field",
    "tool_of",
]
