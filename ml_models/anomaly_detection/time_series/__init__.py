"""Anomaly detection in a `timestamp,value` series: reader, features of the past, detector, pipeline preprocessor."""
