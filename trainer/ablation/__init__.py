"""Which of several configs or sizes is better: arms, comparisons, scaling laws."""
