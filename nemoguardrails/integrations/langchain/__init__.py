"""LangChain and Interlock; all of it needs langchain-core (the extra `langchain`)."""
