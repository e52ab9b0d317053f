"""LangChain and Interlock; what builds on its classes needs langchain-core (the extra `langchain`)."""
