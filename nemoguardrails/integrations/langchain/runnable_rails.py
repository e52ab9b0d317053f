"""Rails as a step of a LangChain chain."""

from rails_engine.langchain import RunnableRails

__all__ = ["RunnableRails"]
