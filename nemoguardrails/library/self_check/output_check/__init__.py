"""The user's model judges what comes out."""
