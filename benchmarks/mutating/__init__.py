"""Mutants of generated modules, their trials, and which of them change nothing."""
