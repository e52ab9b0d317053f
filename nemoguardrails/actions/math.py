"""Questions to Wolfram Alpha."""

from rails_engine.library.actions import wolfram_alpha_request

__all__ = ["wolfram_alpha_request"]
