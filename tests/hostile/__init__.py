"""Bad input: each refused once, clearly, with nothing lost."""
