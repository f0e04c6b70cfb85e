"""A whole trial with known truth, written as laboratories write."""
