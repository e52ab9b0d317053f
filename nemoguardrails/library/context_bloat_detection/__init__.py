"""Texts blown up to crowd out the rest."""
