"""The report, the dataset's card, and the numbers in them."""
