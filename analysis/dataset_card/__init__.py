"""The dataset's card, for people and for machines."""
