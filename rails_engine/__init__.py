"""One turn of a conversation: configuration, actions, prompts, models, rails, retrieval and their loop."""
