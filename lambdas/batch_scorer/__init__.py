"""Scores an uploaded file with a batch transform job: checks it, starts the job, joins the scores to the lines."""
