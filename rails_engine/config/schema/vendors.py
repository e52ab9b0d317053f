"""`rails.config` of the rails that call a vendor's service.

The keys are read and checked, since configurations in use have them; the rails themselves are not built in. Times are in
seconds.
"""

from __future__ import annotations

from enum import StrEnum
from os import environ
from typing import Any, Literal

from pydantic import Field

from rails_engine.config.schema.base import Section, StrictSection


class AIDefenseRailConfig(Section):
    timeout: float = Field(default=30.0, gt=0)
    fail_open: bool = False


class AutoAlignOptions(Section):
    guardrails_config: dict[str, Any] = Field(default_factory=dict)


class AutoAlignRailConfig(Section):
    parameters: dict[str, Any] = Field(default_factory=dict)
    input: AutoAlignOptions = Field(default_factory=AutoAlignOptions)
    output: AutoAlignOptions = Field(default_factory=AutoAlignOptions)


class ClavataRailOptions(Section):
    policy: str
    labels: list[str] = Field(default_factory=list)


class ClavataRailConfig(Section):
    server_endpoint: str = "https://gateway.app.clavata.ai:8443"
    policies: dict[str, str] = Field(default_factory=dict)
    label_match_logic: Literal["ANY", "ALL"] = "ANY"
    input: ClavataRailOptions | None = None
    output: ClavataRailOptions | None = None


class CrowdStrikeAIDRRailConfig(Section):
    timeout: float = 30.0


class F5GuardrailsRailConfig(Section):
    api_url: str = "https://us1.calypsoai.app"
    fail_open: bool = False
    max_retries: int = Field(default=2, ge=0)
    max_retry_after_seconds: float = Field(default=30.0, ge=0)
    retry_backoff_seconds: float = Field(default=1.0, ge=0)


class FiddlerGuardrails(Section):
    fiddler_endpoint: str = "http://localhost:8080/process/text"
    safety_threshold: float = 0.1
    faithfulness_threshold: float = 0.05


class GuardrailsAIValidatorConfig(Section):
    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class GuardrailsAIRailConfig(Section):
    validators: list[GuardrailsAIValidatorConfig] = Field(default_factory=list)

    def get_validator_config(self, name: str) -> GuardrailsAIValidatorConfig | None:
        """The validator of a name; None where the configuration lists none."""
        return next((validator for validator in self.validators if validator.name == name), None)


class PangeaRailOptions(Section):
    recipe: str


class PangeaRailConfig(Section):
    input: PangeaRailOptions | None = None
    output: PangeaRailOptions | None = None


class PatronusEvaluationSuccessStrategy(StrEnum):
    ALL_PASS = "all_pass"  # noqa: S105 - a strategy
    ANY_PASS = "any_pass"  # noqa: S105 - a strategy


class PatronusEvaluateApiParams(Section):
    success_strategy: PatronusEvaluationSuccessStrategy | None = PatronusEvaluationSuccessStrategy.ALL_PASS
    params: dict[str, Any] = Field(default_factory=dict)


class PatronusEvaluateConfig(Section):
    evaluate_config: PatronusEvaluateApiParams = Field(default_factory=PatronusEvaluateApiParams)


class PatronusRailConfig(Section):
    input: PatronusEvaluateConfig | None = Field(default_factory=PatronusEvaluateConfig)
    output: PatronusEvaluateConfig | None = Field(default_factory=PatronusEvaluateConfig)


class PolygrafDetectionOptions(StrictSection):
    entities: list[str] = Field(default_factory=list)


class PolygrafDetection(StrictSection):
    server_endpoint: str = "http://localhost:8000/v1/pii/text-detect"
    input: PolygrafDetectionOptions = Field(default_factory=PolygrafDetectionOptions)
    output: PolygrafDetectionOptions = Field(default_factory=PolygrafDetectionOptions)
    retrieval: PolygrafDetectionOptions = Field(default_factory=PolygrafDetectionOptions)


class PrivateAIDetectionOptions(Section):
    entities: list[str] = Field(default_factory=list)


class PrivateAIDetection(Section):
    server_endpoint: str = "http://localhost:8080/process/text"
    input: PrivateAIDetectionOptions = Field(default_factory=PrivateAIDetectionOptions)
    output: PrivateAIDetectionOptions = Field(default_factory=PrivateAIDetectionOptions)
    retrieval: PrivateAIDetectionOptions = Field(default_factory=PrivateAIDetectionOptions)


class TrendMicroRailConfig(Section):
    v1_url: str = "https://api.xdr.trendmicro.com/v3.0/aiSecurity/applyGuardrails"
    api_key_env_var: str | None = None
    application_name: str = Field(default="nemo-guardrails", max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    detailed_response: bool = False

    def get_api_key(self) -> str | None:
        """The key in the environment variable named here, or in `V1_API_KEY`; None if unset."""
        return environ.get(self.api_key_env_var or "V1_API_KEY")
