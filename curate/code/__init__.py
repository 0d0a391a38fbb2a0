"""What Python code shows of itself, told from its syntax tree: what it teaches, and which functions are alike."""
