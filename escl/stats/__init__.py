"""The statistics of evaluation: plain numbers in, numbers with their uncertainty out. Knows no model and no screen."""
