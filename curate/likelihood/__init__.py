"""How likely a language model finds responses: with and without their instruction, before and after a tuning."""
