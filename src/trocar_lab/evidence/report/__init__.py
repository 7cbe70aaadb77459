"""What a person reads: table, explanation, pages."""
