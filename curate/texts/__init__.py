"""What a text shows of itself: its language, markup, personal data, and whether another says the same."""
