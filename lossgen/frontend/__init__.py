"""Spec text to a resolved loss."""
