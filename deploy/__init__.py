"""What brings Benben to a cluster: the zip, the image, the launchers."""
