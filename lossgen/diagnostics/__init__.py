"""Positions, codes and the rendering of what lossgen has to say."""
