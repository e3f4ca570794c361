"""What experiments conclude: figures, tables in markdown, and sentences whose words follow rules on the numbers."""
