"""What can be proved or refuted about a loss."""
