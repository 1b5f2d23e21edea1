"""Results, shown: terminal, page, notebook, files."""
