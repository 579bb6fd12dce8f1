"""Quality control: records of statistics and the checks on them."""
