"""Sample points and reference values at high precision."""
