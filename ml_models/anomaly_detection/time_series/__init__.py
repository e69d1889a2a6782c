"""Any `timestamp,value` series: reading, features that look back, the detector, and the pipeline's preprocessor."""
