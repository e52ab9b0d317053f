"""Doors to the world: the command line, the server, the chat page, and the wiring that joins the rooms."""
