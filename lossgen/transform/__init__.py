"""From a checked loss to the form that is computed."""
