"""`rails.config`: the settings of each built-in rail that runs here or needs a model of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from os import environ
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from rails_engine.config.schema.base import Section, StrictSection
from rails_engine.config.schema.classifiers import HFClassifierConfig
from rails_engine.config.schema.vendors import (
    AIDefenseRailConfig,
    AutoAlignRailConfig,
    ClavataRailConfig,
    CrowdStrikeAIDRRailConfig,
    F5GuardrailsRailConfig,
    FiddlerGuardrails,
    GuardrailsAIRailConfig,
    PangeaRailConfig,
    PatronusRailConfig,
    PolygrafDetection,
    PrivateAIDetection,
    TrendMicroRailConfig,
)
from rails_engine.patterns import Patterns


class MultilingualConfig(Section):
    """Refusals in the user's language; `refusal_messages` is keyed by language code."""

    enabled: bool = Field(default=False, description="Refuse in the language of the user's message.")
    refusal_messages: dict[str, str] | None = Field(
        default=None, description="Refusals by language code, in place of the built-in ones."
    )


class ReasoningConfig(Section):
    """Whether a content-safety model reasons."""

    enabled: bool = Field(default=False, description="Let the model think before its verdict.")


class ContentSafetyConfig(Section):
    """What the content-safety rails do beside judging."""

    multilingual: MultilingualConfig = Field(
        default_factory=MultilingualConfig, description="Refusals in the user's language."
    )
    reasoning: ReasoningConfig = Field(default_factory=ReasoningConfig, description="Thinking of the model.")


class ContextBloatDetectionConfig(Section):
    """Bounds on pasted or retrieved text: characters, bits of entropy a character, and shares of repetition."""

    max_chars: int = Field(default=5000, gt=0, description="Longer texts are refused.")
    min_chars: int = Field(default=50, ge=0, description="Shorter texts are not looked at.")
    min_entropy: float = Field(default=3.5, ge=0, le=8, description="Bits a character; less is refused.")
    max_repetition_ratio: float = Field(
        default=0.4, ge=0, le=1, description="The largest share of repeated n-grams."
    )
    ngram_size: int = Field(default=3, ge=1, description="Words of an n-gram.")
    max_run_ratio: float = Field(
        default=0.1, ge=0, le=1, description="The largest share of one character in a row."
    )
    action: Literal["reject", "truncate", "warn"] = Field(
        default="reject", description="What becomes of a text beyond bounds."
    )


class FactCheckingRailConfig(Section):
    """Read and checked; the rail is not built in."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    fallback_to_self_check: bool = False


class GLiNERDetectionOptions(StrictSection):
    """The kinds of personal data to look for in one direction."""

    entities: list[str] = Field(default_factory=list)


class GLiNERDetection(StrictSection):
    """Read and checked; the rail is not built in."""

    server_endpoint: str = "http://localhost:8000/v1/chat/completions"
    model: str = "nvidia/gliner-pii"
    api_key_env_var: str | None = None
    threshold: float = Field(default=0.5, ge=0, le=1)
    chunk_length: int = Field(default=384, gt=0)
    overlap: int = Field(default=128, ge=0)
    flat_ner: bool = False
    input: GLiNERDetectionOptions = Field(default_factory=GLiNERDetectionOptions)
    output: GLiNERDetectionOptions = Field(default_factory=GLiNERDetectionOptions)
    retrieval: GLiNERDetectionOptions = Field(default_factory=GLiNERDetectionOptions)


class InjectionDetection(Section):
    """YARA rules over model output, by name of the shipped set or as own text in `yara_rules`."""

    injections: list[str] = Field(
        default_factory=list, description="Rules of ours (`code`, `sqli`, `template`, `xss`) or of yours."
    )
    action: Literal["reject", "omit"] = Field(
        default="reject", description="Refuse the answer, or leave out what was found."
    )
    yara_path: str | None = Field(default="", description="A folder of further rules.")
    yara_rules: dict[str, str] | None = Field(default_factory=dict, description="Further rules, by name.")


class JailbreakDetectionConfig(Section):
    """Where jailbreaks are looked for, and from which figures on a text is refused."""

    server_endpoint: str | None = Field(default=None, description="Where the heuristics are asked for.")
    length_per_perplexity_threshold: float = Field(
        default=89.79, gt=0, description="Length over perplexity; more is refused."
    )
    prefix_suffix_perplexity_threshold: float = Field(
        default=1845.65, gt=0, description="Perplexity of beginning or end; more is refused."
    )
    nim_base_url: str | None = Field(default=None, description="Where the model is asked.")
    nim_server_endpoint: str | None = Field(default="classify", description="Its path below that address.")
    api_key: SecretStr | None = Field(default=None, description="Its key.")
    api_key_env_var: str | None = Field(
        default=None, description="The environment variable that holds its key."
    )
    nim_url: str | None = Field(default=None, description="Replaced by `nim_base_url`.")
    nim_port: int | None = Field(default=None, description="Replaced by `nim_base_url`.")
    embedding: str | None = Field(
        default=None, description="Has no effect: the models of the local classifier are not here."
    )

    @model_validator(mode="after")
    def _move_old_address(self) -> Self:
        if self.nim_url and not self.nim_base_url:
            self.nim_base_url = f"http://{self.nim_url}:{self.nim_port or 8000}/v1"
        return self

    def get_api_key(self) -> str | None:
        """The key given here, else the one in the environment variable named here, else None."""
        if self.api_key:
            return self.api_key.get_secret_value()
        return environ.get(self.api_key_env_var) if self.api_key_env_var else None


class RegexDetectionOptions(Section):
    """Patterns in RE2 syntax (linear time). `engine: backtracking` takes Python's, with a time limit."""

    patterns: list[str] = Field(
        default_factory=list, description="Regular expressions; one that is found refuses."
    )
    case_insensitive: bool = Field(default=False, description="Whether case makes no difference.")
    engine: Literal["re2", "backtracking"] = Field(
        default="re2", description="`backtracking` takes look-around and back-references, and `timeout_s`."
    )
    timeout_s: float = Field(
        default=1.0, gt=0, description="Seconds for a pattern of the backtracking engine."
    )

    @model_validator(mode="after")
    def _compile_once(self) -> Self:
        if self.engine == "re2":
            _ = self.compiled_patterns
        return self

    @cached_property
    def compiled_patterns(self) -> Patterns:
        """The patterns ready to be searched for; raises ValueError naming the index of one that RE2 refuses."""
        return Patterns(self.patterns, case_insensitive=self.case_insensitive)

    def found_in(self, forms: Sequence[str]) -> list[str]:
        """Those of the patterns that occur in any form of a text, as RE2 reads them, in their order."""
        compiled = self.compiled_patterns
        if compiled.texts != self.patterns:  # the list is a caller's to change, and has been
            vars(self).pop("compiled_patterns")
            compiled = self.compiled_patterns
        return compiled.found_in(forms)


class RegexDetection(Section):
    """Patterns by direction."""

    input: RegexDetectionOptions = Field(
        default_factory=RegexDetectionOptions, description="Patterns for what users say."
    )
    output: RegexDetectionOptions = Field(
        default_factory=RegexDetectionOptions, description="Patterns for answers."
    )
    retrieval: RegexDetectionOptions = Field(
        default_factory=RegexDetectionOptions, description="Patterns for retrieved text."
    )


class SensitiveDataDetectionOptions(Section):
    """What is looked for in one direction, and how sure a recogniser has to be."""

    entities: list[str] = Field(
        default_factory=list, description="What to look for, such as `EMAIL_ADDRESS`."
    )
    mask_token: str = Field(default="*", description="Stands in for what is found; by default its kind does.")
    score_threshold: float = Field(default=0.2, ge=0, le=1, description="The least confidence that counts.")


class SensitiveDataDetection(Section):
    """Recognisers in the JSON form of presidio, and what to look for in each direction."""

    recognizers: list[dict[str, Any]] = Field(
        default_factory=list, description="Recognisers of your own, in presidio's JSON."
    )
    language_model: str | None = Field(
        default=None,
        description="The spaCy model that tells names and places: a package, `none` for patterns alone, or by "
        "default the largest English one that is installed.",
    )
    input: SensitiveDataDetectionOptions = Field(
        default_factory=SensitiveDataDetectionOptions, description="In what users say."
    )
    output: SensitiveDataDetectionOptions = Field(
        default_factory=SensitiveDataDetectionOptions, description="In answers."
    )
    retrieval: SensitiveDataDetectionOptions = Field(
        default_factory=SensitiveDataDetectionOptions, description="In retrieved text."
    )


class RailsConfigData(Section):
    """Each rail's settings under its own name."""

    ai_defense: AIDefenseRailConfig | None = Field(default_factory=AIDefenseRailConfig)
    autoalign: AutoAlignRailConfig = Field(default_factory=AutoAlignRailConfig)
    clavata: ClavataRailConfig | None = Field(default_factory=ClavataRailConfig)
    content_safety: ContentSafetyConfig | None = Field(default_factory=ContentSafetyConfig)
    context_bloat_detection: ContextBloatDetectionConfig | None = Field(
        default_factory=ContextBloatDetectionConfig
    )
    crowdstrike_aidr: CrowdStrikeAIDRRailConfig | None = Field(default_factory=CrowdStrikeAIDRRailConfig)
    f5: F5GuardrailsRailConfig | None = Field(default_factory=F5GuardrailsRailConfig)
    fact_checking: FactCheckingRailConfig = Field(default_factory=FactCheckingRailConfig)
    fiddler: FiddlerGuardrails | None = Field(default_factory=FiddlerGuardrails)
    gliner: GLiNERDetection | None = Field(default_factory=GLiNERDetection)
    guardrails_ai: GuardrailsAIRailConfig | None = Field(default_factory=GuardrailsAIRailConfig)
    hf_classifier: dict[str, HFClassifierConfig] | None = None
    injection_detection: InjectionDetection | None = Field(default_factory=InjectionDetection)
    jailbreak_detection: JailbreakDetectionConfig | None = Field(default_factory=JailbreakDetectionConfig)
    pangea: PangeaRailConfig | None = Field(default_factory=PangeaRailConfig)
    patronus: PatronusRailConfig | None = Field(default_factory=PatronusRailConfig)
    polygraf: PolygrafDetection | None = Field(default_factory=PolygrafDetection)
    privateai: PrivateAIDetection | None = Field(default_factory=PrivateAIDetection)
    regex_detection: RegexDetection | None = Field(default_factory=RegexDetection)
    sensitive_data_detection: SensitiveDataDetection | None = Field(default_factory=SensitiveDataDetection)
    trend_micro: TrendMicroRailConfig | None = Field(default_factory=TrendMicroRailConfig)
