"""The names that users' code imports, each from the place where it has it from."""

from __future__ import annotations

from importlib import import_module

import pytest

PUBLIC = {
    "nemoguardrails": """LLMRails Guardrails RailsConfig InstrumentedLLMModel LLMModel LLMFramework LLMResponse
        LLMResponseChunk ChatMessage Role ToolCall ToolCallFunction UsageInfo FinishReason register_framework
        get_default_framework set_default_framework register_provider __version__""",
    "nemoguardrails.actions": "action",
    "nemoguardrails.actions.action_dispatcher": "ActionDispatcher",
    "nemoguardrails.actions.actions": "action ActionResult ActionMeta",
    "nemoguardrails.actions.core": "create_event",
    "nemoguardrails.actions.llm.generation": "LLMGenerationActions",
    "nemoguardrails.actions.math": "wolfram_alpha_request",
    "nemoguardrails.actions.llm.utils": """llm_call get_colang_history get_first_nonempty_line strip_quotes
        get_last_user_utterance_event get_multiline_response get_retrieved_relevant_chunks
        get_and_clear_reasoning_trace_contextvar get_and_clear_tool_calls_contextvar""",
    "nemoguardrails.actions.rail_outcome": """RailOutcome RailDecision TransformSpec TransformTarget
        require_rail_outcome""",
    "nemoguardrails.actions.retrieve_relevant_chunks": "retrieve_relevant_chunks",
    "nemoguardrails.actions.validation.base": "validate_input validate_response",
    "nemoguardrails.actions.validation": "validate_input validate_response",
    "nemoguardrails.cli": "app",
    "nemoguardrails.colang": "parse_colang_file",
    "nemoguardrails.colang.v1_0.lang.parser": "parse_colang_file",
    "nemoguardrails.colang.v2_x.lang.parser": "parse_colang_file",
    "nemoguardrails.colang.v2_x.runtime.errors": """ColangParsingError ColangRuntimeError ColangSyntaxError ColangValueError
        LlmResponseError""",
    "nemoguardrails.colang.v2_x.runtime.flows": "State",
    "nemoguardrails.colang.v2_x.runtime.serialization": "json_to_state state_to_json",
    "nemoguardrails.context": """explain_info_var generation_options_var llm_call_info_var llm_response_metadata_var
        llm_stats_var raw_llm_request reasoning_trace_var streaming_handler_var tool_calls_var""",
    "nemoguardrails.embeddings.basic": "BasicEmbeddingsIndex",
    "nemoguardrails.embeddings.cache": """CacheStore EmbeddingsCache EmbeddingsCacheConfig FilesystemCacheStore
        HashKeyGenerator InMemoryCacheStore KeyGenerator MD5KeyGenerator RedisCacheStore SHA256KeyGenerator
        cache_embeddings""",
    "nemoguardrails.embeddings.index": "EmbeddingsIndex IndexItem",
    "nemoguardrails.embeddings.providers": "EmbeddingModel init_embedding_model register_embedding_provider",
    "nemoguardrails.embeddings.providers.azureopenai": "AzureEmbeddingModel",
    "nemoguardrails.embeddings.providers.cohere": "CohereEmbeddingModel",
    "nemoguardrails.embeddings.providers.fastembed": "FastEmbedEmbeddingModel",
    "nemoguardrails.embeddings.providers.google": "GoogleEmbeddingModel",
    "nemoguardrails.embeddings.providers.nim": "NIMEmbeddingModel NVIDIAAIEndpointsEmbeddingModel",
    "nemoguardrails.embeddings.providers.openai": "OpenAIEmbeddingModel",
    "nemoguardrails.embeddings.providers.sentence_transformers": "SentenceTransformerEmbeddingModel",
    "nemoguardrails.embeddings.providers.base": "EmbeddingModel",
    "nemoguardrails.exceptions": "ConfigurationError InvalidStateError LLMCallException StreamingNotSupportedError",
    "nemoguardrails.guardrails": "configure_logging",
    "nemoguardrails.guardrails.guardrails": "Guardrails",
    "nemoguardrails.http": """HTTPClient ClosableHTTPClient HTTPRequest HTTPResponse HTTPTLSConfig RetryPolicy
        HTTPClientError HTTPConnectionError HTTPTimeoutError HTTPStatusError HTTPResponseDecodeError http_call
        create_http_client RetryingHTTPClient HttpxHTTPClient InstrumentedHTTPClient instrument_http_client""",
    "nemoguardrails.integrations.langchain.helpers": "get_llm_instance_wrapper",
    "nemoguardrails.integrations.langchain.llm_adapter": "LangChainFramework LangChainLLMAdapter",
    "nemoguardrails.integrations.langchain.providers": """get_chat_provider_names get_llm_provider_names
        register_chat_provider register_llm_provider""",
    "nemoguardrails.integrations.langchain.runnable_rails": "RunnableRails",
    "nemoguardrails.kb.kb": "KnowledgeBase",
    "nemoguardrails.kb.utils": "split_markdown_in_topic_chunks",
    "nemoguardrails.library.content_safety.actions": "content_safety_check_input content_safety_check_output detect_language",
    "nemoguardrails.library.context_bloat_detection.actions": "context_bloat_detection",
    "nemoguardrails.library.hallucination.actions": "self_check_hallucination",
    "nemoguardrails.library.injection_detection.actions": "injection_detection",
    "nemoguardrails.library.jailbreak_detection.actions": "jailbreak_detection_heuristics jailbreak_detection_model",
    "nemoguardrails.library.llama_guard.actions": "llama_guard_check_input llama_guard_check_output",
    "nemoguardrails.library.regex.actions": "detect_regex_pattern",
    "nemoguardrails.library.self_check.facts.actions": "self_check_facts",
    "nemoguardrails.library.self_check.input_check.actions": "self_check_input",
    "nemoguardrails.library.self_check.output_check.actions": "self_check_output",
    "nemoguardrails.library.sensitive_data_detection.actions": "detect_sensitive_data mask_sensitive_data",
    "nemoguardrails.library.topic_safety.actions": "topic_safety_check_input",
    "nemoguardrails.llm": "LLMModel ChatMessage register_provider",
    "nemoguardrails.llm.cache": "CacheInterface LFUCache",
    "nemoguardrails.llm.cache.interface": "CacheInterface",
    "nemoguardrails.llm.cache.lfu": "LFUCache",
    "nemoguardrails.llm.call": "llm_call",
    "nemoguardrails.llm.completion_parsing": """get_multiline_response remove_action_intent_identifiers
        strip_quotes""",
    "nemoguardrails.llm.filters": "colang co_v2 to_chat_messages user_assistant_sequence conversation_to_events",
    "nemoguardrails.llm.frameworks": """get_default_framework get_framework register_framework
        set_default_framework""",
    "nemoguardrails.llm.frameworks.registry": "get_framework register_framework set_default_framework",
    "nemoguardrails.llm.models": "InstrumentedLLMModel",
    "nemoguardrails.llm.output_parsers": "is_content_safe nemoguard_parse_prompt_safety user_intent_parser",
    "nemoguardrails.llm.prompts": "get_prompt get_task_model",
    "nemoguardrails.llm.providers": """get_chat_provider_names get_llm_provider_names get_provider_names
        register_chat_provider register_llm_provider register_provider""",
    "nemoguardrails.llm.taskmanager": "LLMTaskManager",
    "nemoguardrails.llm.types": "Task",
    "nemoguardrails.logging.explain": "ExplainInfo LLMCallInfo LLMCallSummary",
    "nemoguardrails.logging.stats": "LLMStats",
    "nemoguardrails.logging.verbose": "set_verbose",
    "nemoguardrails.rails": "LLMRails RailsConfig",
    "nemoguardrails.rails.llm.buffer": "BufferStrategy ChunkBatch RollingBuffer get_buffer_strategy",
    "nemoguardrails.rails.llm.config": "InvalidRailsConfigurationError RailsConfig Model TaskPrompt Rails InputRails OutputRails Instruction",
    "nemoguardrails.rails.llm.llmrails": "LLMRails",
    "nemoguardrails.rails.llm.options": """ActivatedRail ExecutedAction GenerationLog GenerationLogOptions
        GenerationOptions GenerationRailsOptions GenerationResponse GenerationStats RailsResult RailStatus RailType""",
    "nemoguardrails.rails.llm.utils": "get_history_cache_key",
    "nemoguardrails.streaming": "StreamingHandler END_OF_STREAM",
    "nemoguardrails.testing": "FakeLLMModel RecordingHTTPClient TestChat",
    "nemoguardrails.testing.chat_harness": "TestChat",
    "nemoguardrails.testing.fake_model": "FakeLLMModel",
    "nemoguardrails.testing.fixtures": "fake_llm make_fake_llm make_test_chat",
    "nemoguardrails.testing.http": "RecordingHTTPClient",
    "nemoguardrails.types": """ChatMessage FinishReason LLMFramework LLMModel LLMResponse LLMResponseChunk Role ToolCall
        ToolCallFunction UsageInfo""",
    "nemoguardrails.utils": """new_event_dict new_uuid get_or_create_event_loop camelcase_to_snakecase
        snake_to_camelcase compute_hash is_valid_event""",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_name_is_where_users_import_it_from(module: str) -> None:
    found = import_module(module)
    assert not [name for name in PUBLIC[module].split() if not hasattr(found, name)]


def test_a_name_is_one_thing_wherever_it_is_imported_from() -> None:
    top = import_module("nemoguardrails")
    for place in ("nemoguardrails.types", "nemoguardrails.llm"):
        assert import_module(place).ChatMessage is top.ChatMessage
    assert import_module("nemoguardrails.rails.llm.llmrails").LLMRails is top.LLMRails
    assert import_module("nemoguardrails.guardrails").Guardrails is top.Guardrails
