"""What a trained model can do: code that runs, the loss on answers it never saw, and which of two answers better."""
