"""Trains a vision-language model on the dataset; of the project it imports benben.common alone."""
