"""What a study concludes from what it measured: rows, tables in markdown, and verdicts by stated rules."""
