"""From a lowered loss to TensorFlow source text."""
