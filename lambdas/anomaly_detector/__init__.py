"""The detector: scores new hours of features through the endpoint and turns scores into few, priced alerts."""
