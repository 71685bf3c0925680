"""lossgen: from a formula to a Keras loss and its tests."""
