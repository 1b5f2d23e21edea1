"""From measured effects to verdicts: thresholds, status, reasons in words."""
