"""The user's model judges what goes in."""
