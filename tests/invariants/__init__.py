"""What must hold for any input: random markets, random strategies, exact arithmetic."""
