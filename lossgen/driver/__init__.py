"""Projects, files and reports around the compiler."""
