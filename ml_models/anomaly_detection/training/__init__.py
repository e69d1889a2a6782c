"""What `training_script` uses and serving does not: reading, fitting's options, evaluation, the baseline."""
