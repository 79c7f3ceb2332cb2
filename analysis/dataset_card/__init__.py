"""The dataset's card: README.md for people, Croissant for machines, and the facts in both."""
